package demo

import "syscall"

// apart keeps a terminal's Ctrl-C from the servers: the demo ends them, in its
// order.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
