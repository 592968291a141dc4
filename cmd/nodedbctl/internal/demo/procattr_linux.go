package demo

import "syscall"

// processAttr puts a node into a process group of its own, so that Ctrl-C
// reaches nodedbctl alone, and makes it end with nodedbctl.
func processAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
