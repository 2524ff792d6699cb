package localpg

import "syscall"

// dieWithParent has the kernel tell the server when the thread that started it
// ends, which is why [startChild] keeps one thread for as long as the server
// lives. SIGQUIT is the immediate shutdown: unlike the fast one it does not wait
// for backends that are frozen, it kills them after 5 s. What was committed is in
// the write-ahead log.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGQUIT }
