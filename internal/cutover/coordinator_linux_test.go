package cutover

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gohandover/handover/internal/control"
	"github.com/gohandover/handover/reuse"
)

func TestHandover(t *testing.T) {
	s := newStage(t)
	var steps []string
	s.c.Observe = func(e Event) {
		if e.Took == 0 && e.Message == "" {
			steps = append(steps, string(e.Step))
		}
	}
	r, err := s.run(t)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.new.history(), "bind prepare join gate take settle"; got != want {
		t.Errorf("the new generation was asked to %s; want %s", got, want)
	}
	if got, want := s.old.history(), "hold hold drain"; got != want {
		t.Errorf("the old generation was asked to %s; want %s", got, want)
	}
	if got, want := strings.Join(steps, " "), "lock bind survey prepare hold join gate cutover bake retire settle done"; got != want {
		t.Errorf("steps %s; want %s", got, want)
	}
	if r.Generation != 8 || r.Flushed != 3 || len(r.Warnings) != 0 {
		t.Errorf("result: %+v", r)
	}
	wantServing(t, s.new)
}

func TestFailureBeforeCutoverLeavesTheOldUntouched(t *testing.T) {
	reason := errors.New("no luck")
	for _, name := range []string{"bind", "prepare", "join", "gate"} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.new.fail[name] = reason
			_, err := s.run(t)
			if err == nil || !errors.Is(err, reason) || err.CutBack {
				t.Fatalf("error: %+v", err)
			}
			if got := s.old.history(); got != "" && got != "hold" && got != "hold hold" {
				t.Errorf("the old generation was asked to %s", got)
			}
			if joined := name == "join" || name == "gate"; strings.Contains(s.new.history(), "leave") != joined {
				t.Errorf("the new generation was asked to %s", s.new.history())
			}
			wantServing(t, s.old)
		})
	}
}

func TestFailureAfterCutoverCutsBack(t *testing.T) {
	for _, name := range []string{"take", "watch"} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.new.fail[name] = errors.New("no luck")
			s.c.Bake = time.Minute
			_, err := s.run(t)
			if err == nil || !err.CutBack {
				t.Fatalf("error: %+v", err)
			}
			if !strings.HasSuffix(s.old.history(), "hold") || strings.Contains(s.old.history(), "drain") {
				t.Errorf("the old generation was asked to %s", s.old.history())
			}
			if !strings.HasSuffix(s.new.history(), "leave") {
				t.Errorf("the new generation was asked to %s", s.new.history())
			}
			wantServing(t, s.old)
		})
	}
}

func TestEndOfContextWhileBakingCutsBack(t *testing.T) {
	s := newStage(t)
	s.c.Bake = time.Minute
	ctx, cancel := context.WithCancel(t.Context())
	s.c.Observe = func(e Event) {
		if e.Step == StepBake {
			cancel()
		}
	}
	_, err := s.c.Run(ctx)
	var step *StepError
	if !errors.As(err, &step) || !step.CutBack || !errors.Is(err, context.Canceled) {
		t.Fatalf("error: %v", err)
	}
	wantServing(t, s.old)
}

func TestBakeThenRetire(t *testing.T) {
	s := newStage(t)
	s.c.Bake = 50 * time.Millisecond
	if _, err := s.run(t); err != nil {
		t.Fatal(err)
	}
	if got, want := s.old.history(), "hold hold park drain"; got != want {
		t.Errorf("the old generation was asked to %s; want %s", got, want)
	}
}

func TestHungPredecessorIsLeftBehind(t *testing.T) {
	s := newStage(t)
	s.old.hang["drain"] = true
	r, err := s.run(t)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "has not closed it") {
		t.Errorf("warnings: %q", r.Warnings)
	}
	wantServing(t, s.new)

	// The next one comes to a group with two others in it.
	s.serveControl(t, s.new)
	third := &party{t: t, address: s.new.address, fail: map[string]error{}}
	c := *s.c
	c.Instance, c.New = control.NewInstance(), third
	s.old.mu.Lock()
	s.old.calls = nil
	s.old.mu.Unlock()
	if _, err := c.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantServing(t, third)
}

// serveControl gives a newcomer that has become active a control socket.
func (s *stage) serveControl(t *testing.T, p *party) {
	t.Helper()
	ctl, err := control.Listen(s.service, control.Options{})
	if err != nil {
		t.Fatal(err)
	}
	go ctl.Serve(p)
	t.Cleanup(func() { ctl.Close() })
}

func TestPredecessorThatCannotDrainIsSignalled(t *testing.T) {
	s := newStage(t)
	s.old.fail["drain"] = fmt.Errorf("drain: %w", errors.ErrUnsupported)
	if _, err := s.run(t); err != nil {
		t.Fatal(err)
	}
	if want := []int{os.Getpid()}; !slices.Equal(s.killed, want) {
		t.Errorf("signalled %v, want %v", s.killed, want)
	}
}

func TestPredecessorThatDoesNotConfirmIsReported(t *testing.T) {
	s := newStage(t)
	s.old.fail["hold"] = errors.New("no")
	r, err := s.run(t)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "did not confirm") {
		t.Errorf("warnings: %q", r.Warnings)
	}
}

func TestAddressesOfTheRunningVersionMustBeCovered(t *testing.T) {
	s := newStage(t)
	s.new.address = "127.0.0.2:0"
	_, err := s.run(t)
	if err == nil || err.Step != StepSurvey || !strings.Contains(err.Error(), s.old.address[:9]) {
		t.Fatalf("error: %v", err)
	}
	wantServing(t, s.old)
}

func TestPortOfAnotherServiceIsRefused(t *testing.T) {
	s := newStage(t)
	s.c.Service += "-other"
	r, err := s.c.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), s.service) {
		t.Fatalf("result %+v, error %v", r, err)
	}
	wantServing(t, s.old)
}

func TestSocketOfThisVeryProcessIsRefused(t *testing.T) {
	s := newStage(t)
	l, err := reuse.Config{}.Bind(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	own, err := l.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	s.new.address = own.Addr().String()
	s.c.Service += "-own"
	if _, err := s.c.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "this very process") {
		t.Fatalf("error: %v", err)
	}
}

func TestLeadersAreTheProcessesWithoutAParentAmongThem(t *testing.T) {
	all := []reuse.Process{{PID: 10}, {PID: 11}, {PID: 12}, {PID: 30}}
	parents := map[int]int{10: 1, 11: 10, 12: 10, 30: 2}
	got := leaders(all, func(pid int) int { return parents[pid] })
	if want := []reuse.Process{{PID: 10}, {PID: 30}}; !slices.Equal(got, want) {
		t.Errorf("leaders %v, want %v", got, want)
	}
}

func TestParentOf(t *testing.T) {
	if got, want := parentOf(os.Getpid()), os.Getppid(); got != want {
		t.Errorf("parent of this process: %d, want %d", got, want)
	}
	if got := parentOf(4_194_305); got != 0 {
		t.Errorf("parent of a process that can't be: %d, want 0", got)
	}
}

func TestBallastKeepsTheIndexThroughEveryClose(t *testing.T) {
	for others, want := range map[int]int{0: 0, 1: 0, 2: 1, 5: 4} {
		if got := (Joining{Others: others}).Ballast(); got != want {
			t.Errorf("ballast beside %d others: %d, want %d", others, got, want)
		}
	}
}
