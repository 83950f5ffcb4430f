//go:build unix

package health

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// killGroup makes cmd the leader of a process group, which is killed as a whole when cmd's context ends.
func killGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		// A process that has been waited for may have given its number to another.
		if err := cmd.Process.Signal(syscall.Signal(0)); errors.Is(err, os.ErrProcessDone) {
			return err
		}
		return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
}
