//go:build unix

package main

import (
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/gohandover/handover/docs/examples/internal/proctest"
)

func TestSignals(t *testing.T) {
	t.Parallel()
	server := proctest.Build(t)
	for _, test := range []struct {
		name    string
		request string
		signals []syscall.Signal
		answer  string // empty if the request is cut
		code    int
		log     []string
	}{
		{"TERM drains", "/slow/2s", []syscall.Signal{syscall.SIGTERM}, "done", 0, []string{"before TERM", "after TERM"}},
		{"INT drains", "/slow/2s", []syscall.Signal{syscall.SIGINT}, "done", 0, []string{"before INT", "after INT"}},
		{"second TERM forces", "/slow/1h", []syscall.Signal{syscall.SIGTERM, syscall.SIGTERM}, "", 1,
			[]string{"before TERM", "after TERM", "before TERM", "after TERM"}},
		{"INT after TERM forces", "/slow/1h", []syscall.Signal{syscall.SIGTERM, syscall.SIGINT}, "", 1,
			[]string{"before TERM", "after TERM", "before INT", "after INT"}},
		{"USR2 forces", "/slow/1h", []syscall.Signal{syscall.SIGUSR2}, "", 1, []string{"before USR2", "after USR2"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			addr := proctest.Address(t)
			p := start(t, server, addr)
			inFlight := proctest.Begin(t, addr, test.request)
			p.WaitFor("begun to be slow")
			for i, sig := range test.signals {
				p.Signal(sig)
				p.WaitFor(test.log[2*i+1])
			}
			got := <-inFlight
			if got.Body != test.answer || (got.Err == nil) != (test.answer != "") {
				t.Errorf("request in flight: %q, %v, want %q", got.Body, got.Err, test.answer)
			}
			p.ExitsWith(test.code)
			if got := hookLines(p.Output()); !slices.Equal(got, test.log) {
				t.Errorf("hooks: %q, want %q", got, test.log)
			}
			if cut := strings.Contains(p.Output(), "cut: drain: ended by force"); cut != (test.answer == "") {
				t.Errorf("handler told that it was cut: %v", cut)
			}
		})
	}
}

func start(t *testing.T, server, addr string) *proctest.Process {
	t.Helper()
	p := proctest.Start(t, server, "-addr", addr)
	p.WaitFor("generation 1 is ready")
	return p
}

// hookLines returns what the hooks around draining have logged.
func hookLines(output string) (lines []string) {
	for line := range strings.Lines(output) {
		_, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		if _, text, _ = strings.Cut(text, " "); strings.HasPrefix(text, "before ") || strings.HasPrefix(text, "after ") {
			lines = append(lines, text)
		}
	}
	return lines
}

// TestHooksAlone sends signals that have no meaning but their hooks.
func TestHooksAlone(t *testing.T) {
	t.Parallel()
	addr := proctest.Address(t)
	p := start(t, proctest.Build(t), addr)
	p.Signal(syscall.SIGUSR1)
	p.WaitFor("reopening the log files")
	p.Signal(syscall.SIGTSTP)
	p.WaitFor("going into maintenance")
	proctest.Get(t, addr, "/slow/1ms", "done")
	p.Signal(syscall.SIGTERM)
	p.ExitsWith(0)
}

// TestForceWithNothingInFlight has nothing to cut, which is a clean end.
func TestForceWithNothingInFlight(t *testing.T) {
	t.Parallel()
	p := start(t, proctest.Build(t), proctest.Address(t))
	p.Signal(syscall.SIGUSR2)
	p.ExitsWith(0)
}
