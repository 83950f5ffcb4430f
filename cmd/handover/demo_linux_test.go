package main

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestDemoEndsItsServers ends a demo in two ways, one of which leaves it no time
// to tidy up, and looks whether its server is still there.
func TestDemoEndsItsServers(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
		t.Run(sig.String(), func(t *testing.T) {
			cmd, address := startDemo(t)
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // the exit code tells how
			if got := cmd.ProcessState.ExitCode(); sig == syscall.SIGINT && got != exitInterrupted {
				t.Errorf("exit code %d, want %d", got, exitInterrupted)
			}
			eventually(t.Fatalf, func() bool {
				c, err := net.Dial("tcp", address)
				if err == nil {
					c.Close()
				}
				return err != nil
			})
		})
	}
}

// startDemo starts a demo that waits long before its first takeover, and returns
// the address of its server.
func startDemo(t *testing.T) (*exec.Cmd, string) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "demo", "--plain", "--clients=6", "--duration-between=1m")
	cmd.Args[0] = "handover" // TestMain goes by it
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // it has ended unless the test failed
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if _, rest, ok := strings.Cut(lines.Text(), " serves "); ok {
			address, _, _ := strings.Cut(rest, ",")
			return cmd, address
		}
	}
	t.Fatal("the demo has not told the address of its server")
	return nil, ""
}
