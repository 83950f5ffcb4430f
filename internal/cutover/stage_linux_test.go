package cutover

import (
	"context"
	"errors"
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
