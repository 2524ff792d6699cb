//go:build !unix

package decisionlog

const nonBlocking = 0
