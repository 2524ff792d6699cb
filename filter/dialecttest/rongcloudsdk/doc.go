// Package rongcloudsdk runs the program against RongCloud's own SDK for Go. The
// SDK has one client per process, so it has a test binary, and with it a program
// and a database, of its own.
package rongcloudsdk
