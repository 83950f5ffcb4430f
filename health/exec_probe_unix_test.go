//go:build unix

package health_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gohandover/handover/health"
)

func sh(script string) health.ExecProbe {
	return health.ExecProbe{Command: []string{"sh", "-c", script}}
}

func TestExecProbeAnswers(t *testing.T) {
	dir := t.TempDir()
	for _, test := range []struct {
		probe health.ExecProbe
		want  string
	}{
		{sh("echo fine"), ""},
		{sh("exit 3"), "exit status 3"},
		{sh("echo first; echo; echo db: connection refused >&2; echo; exit 1"), "exit status 1: db: connection refused"},
		{sh("yes | head -n 20000; echo last; exit 1"), "exit status 1: last"},
		{sh("kill -9 $$"), "signal: killed"},
		{health.ExecProbe{Command: []string{"sh", "-c", `test "$A" = b && test -n "$PATH"`}, Env: []string{"A=b"}}, ""},
		{health.ExecProbe{Command: []string{"sh", "-c", `test "$(pwd -P)" = "$DIR"`}, Dir: dir, Env: []string{"DIR=" + realPath(t, dir)}}, ""},
		{health.ExecProbe{}, "no command"},
	} {
		err := test.probe.Probe(t.Context())
		if test.want == "" && err == nil {
			continue
		}
		wantError(t, err, test.want)
	}
	if err := (health.ExecProbe{Command: []string{"no-such-program-here"}}).Probe(t.Context()); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func realPath(t *testing.T, path string) string {
	t.Helper()
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		t.Fatal(err)
	}
	return real
}

func TestExecProbeKillsTheWholeProcessGroup(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	p := sh(`trap '' TERM; sleep 300 & echo $! >"$PIDS.new"; echo waiting for the db; mv "$PIDS.new" "$PIDS"; wait`)
	p.Env = []string{"PIDS=" + pids}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	result := make(chan error, 1)
	go func() { result <- p.Probe(ctx) }()

	var child int
	eventually(t, "the command has started its child", func() bool {
		b, err := os.ReadFile(pids)
		child, _ = strconv.Atoi(strings.TrimSpace(string(b)))
		return err == nil
	})
	cancel()
	err := <-result
	wantError(t, err, "killed, its last output was: waiting for the db")
	if !errors.Is(err, context.Canceled) {
		t.Error("not context.Canceled")
	}
	eventually(t, "the command's child is gone", func() bool { return gone(child) })
}

// gone tells whether a process has ended. An orphan may stay a zombie for a while, which is nothing that runs.
func gone(pid int) bool {
	if syscall.Kill(pid, 0) == syscall.ESRCH {
		return true
	}
	state, err := exec.Command("ps", "-o", "stat=", "-p", strconv.Itoa(pid)).Output()
	return err != nil || strings.HasPrefix(string(state), "Z")
}

func TestExecProbeDoesNotWaitForWhatHoldsItsOutput(t *testing.T) {
	pid := filepath.Join(t.TempDir(), "pid")
	p := sh(`sleep 300 & echo $! >"$PID"`)
	p.Env = []string{"PID=" + pid}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := p.Probe(ctx); err != nil {
		t.Errorf("exit status 0 with a child that goes on: %v", err)
	}
	b, err := os.ReadFile(pid)
	if err != nil {
		t.Fatal(err)
	}
	left, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	_ = syscall.Kill(left, syscall.SIGKILL)
}

func TestExecProbeInAGateTellsItsLastOutput(t *testing.T) {
	g := health.Gate{Timeout: 300 * time.Millisecond, Rise: 1, StartTimeout: time.Minute, Probes: []health.Probe{sh("echo migrating; sleep 300")}}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	g.Observer = func(e health.Event) {
		if e.Err != nil && strings.Contains(e.Err.Error(), "migrating") { // on a busy machine not at the first try
			cancel()
		}
	}
	err := g.Pass(ctx)
	wantErrorContains(t, err, "exec:sh -c 'echo migrating; sleep 300': no answer within 300ms: killed, its last output was: migrating")
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(20 * time.Second)
	for !holds() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("not within 20s: %s", what)
		}
	}
}
