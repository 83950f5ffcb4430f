//go:build unix

package cutover

import "syscall"

// terminate sends SIGTERM. Pids below 2 are never meant: 0 stands for a process
// of another PID namespace.
func terminate(pid int) error {
	if pid < 2 {
		return syscall.ESRCH
	}
	return syscall.Kill(pid, syscall.SIGTERM)
}
