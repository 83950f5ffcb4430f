package handover_test

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A first SIGTERM or SIGINT lets what has begun finish.
func TestSignalDrains(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, spec{})
			p := f.serve()
			answer := ask(f.address(), "/slow")
			p.await("serving /slow")
			p.signal(sig)
			if got := <-answer; got != "whole answer of v1" {
				t.Errorf("answer %q", got)
			}
			p.wantExit(0)
		})
	}
}

// A second signal ends what is left at once, whichever the first was and
// whether it was a signal or a successor that began the drain.
func TestSecondSignalForces(t *testing.T) {
	for _, signals := range [][]syscall.Signal{
		{syscall.SIGTERM, syscall.SIGTERM},
		{syscall.SIGTERM, syscall.SIGINT},
		{syscall.SIGINT, syscall.SIGUSR2},
		{syscall.SIGUSR2},
	} {
		var names []string
		for _, s := range signals {
			names = append(names, s.String())
		}
		t.Run(strings.Join(names, " and "), func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, spec{Drain: time.Hour})
			p := f.serve()
			answer := ask(f.address(), "/forever")
			p.await("serving /forever")
			for i, s := range signals {
				p.signal(s)
				if i+1 < len(signals) {
					eventually(t, "the signal has been seen", func() bool { return p.logs("signal="+s.String()) || p.logs(`signal="`+s.String()) })
				}
			}
			p.wantExit(exitError, "1 requests, 1 active", "drain: ended by force")
			if got := <-answer; !strings.HasPrefix(got, "error: ") {
				t.Errorf("the request that was cut got the answer %q", got)
			}
		})
	}
}

func TestSignalsWhileRelieved(t *testing.T) {
	t.Parallel()
	f := newFleet(t, spec{Drain: time.Hour})
	old := f.serve()
	ask(f.address(), "/forever")
	old.await("serving /forever")
	f.serve()
	old.signal(syscall.SIGTERM) // the first: the drain goes on
	eventually(t, "the signal has been seen", func() bool { return old.logs("signal=terminated") })
	select {
	case <-old.exited:
		t.Fatal("a first signal has ended a drain that was under way")
	case <-time.After(100 * time.Millisecond):
	}
	old.signal(syscall.SIGTERM)
	old.wantExit(exitError, "drain: ended by force")
	wantVersion(t, f.address(), "v2", 5)
}

// A second signal ends the process though a hook of the program's own hangs.
func TestSecondSignalEndsAVersionThatHangs(t *testing.T) {
	for _, turn := range []string{"starting", "cutover", "ready"} {
		t.Run(turn, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, spec{})
			f.serve()
			p := f.start(at(turn, "block"))
			p.await(turn)
			p.signal(syscall.SIGTERM)
			eventually(t, "the signal has been seen", func() bool { return p.logs("signal=terminated") })
			p.signal(syscall.SIGTERM)
			p.wantExit(exitError)
		})
	}
}

func TestHooksOnSignals(t *testing.T) {
	t.Parallel()
	f := newFleet(t, spec{Signals: true})
	p := f.serve()
	for _, sig := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGTSTP} {
		p.signal(sig)
		p.await("after " + sig.String())
		wantVersion(t, f.address(), "v1", 1)
	}
	answer := ask(f.address(), "/slow")
	p.await("serving /slow")
	p.signal(syscall.SIGTERM)
	if got := <-answer; got != "whole answer of v1" {
		t.Errorf("answer %q", got)
	}
	p.wantExit(0)
	wantOrder(t, p, "before user defined signal 1", "after user defined signal 1", "before stopped", "after stopped",
		"before terminated", "after terminated", "drained")
}

// With Signals.Off the process has the signals to itself, and ends by its context.
func TestSignalsOff(t *testing.T) {
	t.Parallel()
	f := newFleet(t, spec{Off: true})
	p := f.serve()
	answer := ask(f.address(), "/slow")
	p.await("serving /slow")
	p.tell("cancel")
	if got := <-answer; got != "whole answer of v1" {
		t.Errorf("answer %q", got)
	}
	p.wantExit(0)

	p = f.serve()
	p.signal(syscall.SIGTERM)
	p.exit()
	if status := p.cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGTERM {
		t.Errorf("ended with %v; want the signal's own effect", p.cmd.ProcessState)
	}
}

// The hooks of both versions come in their order, and know what there is to know.
func TestHooksInOrder(t *testing.T) {
	t.Parallel()
	f := newFleet(t, spec{})
	old := f.serve()
	next := f.serve()
	old.wantExit(0)
	for _, p := range []*server{old, next} {
		wantOrder(t, p, "starting", "checked", "cutover", "ready")
		want := "gen=" + strings.TrimPrefix(p.Version, "v") + " name=" + f.base.Service + " version=" + p.Version + " addr=" + f.address()
		for _, turn := range []string{"cutover", "ready"} {
			if got := p.await(turn); !strings.HasPrefix(got, turn+" "+want) {
				t.Errorf("%s was told %q; want %s", p.Version, got, want)
			}
		}
	}
	if got := next.await("cutover"); !strings.Contains(got, `after="generation 1 (v1), pid `) {
		t.Errorf("the hook doesn't know who was relieved: %q", got)
	}
	// The last registered clean-up runs first, when tasks have ended.
	wantOrder(t, old, "ready", "task ended", "released cache", "released database", "drained")
}

// wantOrder checks that the process has said lines that begin so in this order.
func wantOrder(t *testing.T, p *server, words ...string) {
	t.Helper()
	rest := p.said()
	for _, w := range words {
		i := slices.IndexFunc(rest, func(l string) bool { return l == w || strings.HasPrefix(l, w+" ") })
		if i < 0 {
			t.Errorf("%s said %q; want %q in this order", p.Version, p.said(), words)
			return
		}
		rest = rest[i+1:]
	}
}
