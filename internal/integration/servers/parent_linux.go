package servers

import "syscall"

// endsWithParent makes the kernel kill a process when the tests end without having
// ended it, as when they are killed.
func endsWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
