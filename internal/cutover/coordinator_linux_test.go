package cutover

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gohandover/handover/internal/control"
	"github.com/gohandover/handover/reuse"
)

// party is a generation made of a real listener and nothing else. It is a
// Newcomer and a control.Agent, remembers what it was asked, and fails where
// told to.
type party struct {
	t       *testing.T
	address string
	fail    map[string]error
	hang    map[string]bool

	mu    sync.Mutex
	calls []string
	sock  *reuse.Socket
	l     *reuse.Listener
	state control.State
	num   int
}

var (
	_ Newcomer      = (*party)(nil)
	_ control.Agent = (*party)(nil)
)

func (p *party) called(ctx context.Context, name string) error {
	p.mu.Lock()
	p.calls = append(p.calls, name)
	err, hang := p.fail[name], p.hang[name]
	p.mu.Unlock()
	if hang {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	return err
}

func (p *party) history() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.calls, " ")
}

func (p *party) Bind(ctx context.Context) ([]reuse.GroupID, error) {
	if err := p.called(ctx, "bind"); err != nil {
		return nil, err
	}
	s, err := reuse.Config{}.Bind(ctx, "tcp", p.address)
	if err != nil {
		return nil, err
	}
	p.t.Cleanup(func() { s.Close() })
	p.sock = s
	return []reuse.GroupID{s.Group()}, nil
}

func (p *party) Enter(n int) { p.num = n }

func (p *party) Prepare(ctx context.Context) error { return p.called(ctx, "prepare") }

func (p *party) Join(ctx context.Context, how map[reuse.GroupID]Joining) error {
	if err := p.called(ctx, "join"); err != nil {
		return err
	}
	l, err := p.sock.Listen(ctx)
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.l = l
	p.mu.Unlock()
	p.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	j := how[l.Group()]
	if j.Attach != nil {
		if err := l.Attach(*j.Attach); err != nil {
			return err
		}
	}
	return l.Grow(ctx, j.Ballast())
}

func (p *party) Gate(ctx context.Context) error { return p.called(ctx, "gate") }

func (p *party) Take(ctx context.Context) (time.Duration, error) {
	if err := p.called(ctx, "take"); err != nil {
		return 0, err
	}
	p.state = control.StateActive
	return time.Microsecond, p.l.Take(ctx)
}

func (p *party) Watch(ctx context.Context) error {
	if err := p.called(ctx, "watch"); err != nil {
		return err
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

func (p *party) Settle(ctx context.Context) error {
	if err := p.called(ctx, "settle"); err != nil {
		return err
	}
	return p.l.Settle(ctx)
}

func (p *party) Yield(ctx context.Context) error {
	if err := p.called(ctx, "yield"); err != nil {
		return err
	}
	return p.l.Yield(ctx)
}

func (p *party) Leave(ctx context.Context) {
	p.called(ctx, "leave")
	if p.l != nil {
		p.l.Close()
	}
}

func (p *party) Status() control.Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	st := control.Status{State: p.state, Generation: p.num, PID: 4_194_304} // more than a pid can be
	if p.l != nil {
		for _, c := range p.l.Cookies() {
			st.Members = append(st.Members, control.Member{Address: p.l.Addr().String(), Cookie: c})
		}
	}
	return st
}

func (p *party) Hold(ctx context.Context) error {
	if err := p.called(ctx, "hold"); err != nil {
		return err
	}
	return p.l.Hold(ctx)
}

func (p *party) Park(ctx context.Context, _ control.ParkRequest) error { return p.called(ctx, "park") }

func (p *party) Resume(ctx context.Context) error { return p.Hold(ctx) }

func (p *party) Drain(ctx context.Context, _ control.DrainRequest) (control.DrainReply, error) {
	if err := p.called(ctx, "drain"); err != nil {
		return control.DrainReply{}, err
	}
	return control.DrainReply{Flushed: 3}, p.l.Retire()
}

func (p *party) Stop(ctx context.Context) error { return p.called(ctx, "stop") }

// stage is a service with an active generation and one that is to come.
type stage struct {
	service  string
	old, new *party
	c        *Coordinator
	killed   []int
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{service: "cutover-test-" + control.NewInstance()}
	s.old = s.serve(t, &party{t: t, address: "127.0.0.1:0"}, s.service)
	s.new = &party{t: t, address: s.old.l.Addr().String(), fail: map[string]error{}}
	s.c = &Coordinator{
		Service: s.service, Instance: control.NewInstance(), New: s.new,
		LockTimeout: 5 * time.Second, FlushTimeout: 100 * time.Millisecond, ForeignTimeout: 100 * time.Millisecond,
		env: env{parent: func(int) int { return 1 }, terminate: func(pid int) error {
			s.killed = append(s.killed, pid)
			return s.old.l.Retire()
		}},
	}
	return s
}

// serve makes p the active generation of a service, with a control socket.
func (s *stage) serve(t *testing.T, p *party, service string) *party {
	t.Helper()
	ctx := t.Context()
	if _, err := p.Bind(ctx); err != nil {
		t.Fatal(err)
	}
	if err := p.Join(ctx, nil); err != nil {
		t.Fatal(err)
	}
	p.l.Attach(reuse.Only(0))
	if err := p.l.Take(ctx); err != nil {
		t.Fatal(err)
	}
	p.state, p.num, p.calls = control.StateActive, 7, nil
	p.fail, p.hang = map[string]error{}, map[string]bool{}
	ctl, err := control.Listen(service, control.Options{})
	if err != nil {
		t.Fatal(err)
	}
	go ctl.Serve(p)
	t.Cleanup(func() { ctl.Close() })
	return p
}

func (s *stage) run(t *testing.T) (Result, *StepError) {
	t.Helper()
	r, err := s.c.Run(t.Context())
	lock, lockErr := reuse.TryLock(s.service)
	if lockErr != nil {
		t.Fatalf("the lock is not free after the handover: %v", lockErr)
	}
	lock.Unlock()
	if err == nil {
		return r, nil
	}
	var step *StepError
	if !errors.As(err, &step) {
		t.Fatalf("error is no StepError: %v", err)
	}
	return r, step
}

func wantServing(t *testing.T, p *party) {
	t.Helper()
	if ok, err := p.l.Reach(t.Context()); !ok || err != nil {
		t.Fatalf("new connections don't reach the generation: %v, %v", ok, err)
	}
}

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
