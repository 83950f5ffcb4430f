// Package generation is one generation of a service that runs in this very
// process: its listeners, its health and its drain. A [Generation] is the newcomer of
// the handover that brings it in, and the agent that answers for it on the
// control socket until it has gone.
package generation

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/gohandover/handover/drain"
	"github.com/gohandover/handover/health"
	"github.com/gohandover/handover/internal/control"
	"github.com/gohandover/handover/reuse"
)

// Address is where a service listens, as for [net.Listen].
type Address struct{ Network, Address string }

// Config is what a Generation is made of. All fields are needed but those said
// to be optional.
type Config struct {
	Service   string
	Instance  string // of the control socket
	Version   string // optional
	Addresses []Address
	Socket    reuse.Config

	// Serve accepts on a listener until it is closed and the drain has ended.
	// It is called in a goroutine of its own for each address.
	Serve func(net.Listener) error

	// Probes makes the probes of the gate for one listener. The dial function
	// reaches this generation through the real port. It is optional.
	Probes func(address net.Addr, dial health.DialFunc) ([]health.Probe, error)
	Gate   health.Gate // without probes

	Health       *health.Health
	Drain        *drain.Drain
	FlushTimeout time.Duration

	// Prepare warms up, before the generation listens. It is optional.
	Prepare func(context.Context) error

	Events *control.Events
	Logger *slog.Logger
}

// Generation implements [cutover.Newcomer] and [control.Agent].
type Generation struct {
	cfg     Config
	started time.Time
	closed  chan struct{} // closed when the listeners are, or are about to be
	done    chan struct{} // closed when all has ended; err is final then
	hurry   chan struct{} // closed when End is to wait for nobody
	hurried sync.Once

	// ops lets one change of the groups happen at a time.
	ops sync.Mutex

	mu          sync.Mutex
	state       control.State
	since       time.Time
	number      int
	sockets     []*reuse.Socket
	listeners   []*reuse.Listener
	admitted    bool
	activated   time.Time // when it first became active
	closing     bool      // closed has been closed
	resolving   bool      // see resolveLater
	flushed     int
	coordinator string
	ending      bool
	err         error
}

// New returns a generation that is starting and has touched nothing yet.
func New(cfg Config) *Generation {
	now := time.Now()
	return &Generation{cfg: cfg, started: now, since: now, state: control.StateStarting,
		closed: make(chan struct{}), done: make(chan struct{}), hurry: make(chan struct{})}
}

// Done returns a channel that is closed when the generation has ended.
func (g *Generation) Done() <-chan struct{} { return g.done }

// Closed returns a channel that is closed when the generation begins to end: its
// listeners are closed, or about to be.
func (g *Generation) Closed() <-chan struct{} { return g.closed }

// Err returns why the generation did not end well, once Done is closed.
func (g *Generation) Err() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}

// enter changes the state and tells everybody.
func (g *Generation) enter(s control.State) {
	g.mu.Lock()
	changed := g.state != s
	if changed {
		g.state, g.since = s, time.Now()
		if s == control.StateActive && g.activated.IsZero() {
			g.activated = g.since
		}
	}
	number := g.number
	g.mu.Unlock()
	if changed {
		g.cfg.Health.SetDraining(s == control.StateDraining || s == control.StateStopped)
		g.cfg.Logger.Info("state", "service", g.cfg.Service, "generation", number, "state", string(s))
		g.cfg.Events.Publish(control.Event{Generation: number, Type: "state", Message: string(s)})
	}
}

// warn tells of something that an operator should know.
func (g *Generation) warn(message string, err error) {
	g.cfg.Logger.Warn(message, "service", g.cfg.Service, "error", err)
	g.cfg.Events.Publish(control.Event{Type: "warning", Message: fmt.Sprintf("%s: %v", message, err)})
}

// Listeners returns the listeners, one an address in the order of the
// configuration. There are none before Join and after the generation has
// closed them.
func (g *Generation) Listeners() []*reuse.Listener {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closing {
		return nil
	}
	return g.listeners
}

// Status implements [control.Agent].
func (g *Generation) Status() control.Status {
	work := g.cfg.Drain.Status()
	members := g.members()
	g.mu.Lock()
	defer g.mu.Unlock()
	st := control.Status{
		Version:     g.cfg.Version,
		Generation:  g.number,
		PID:         os.Getpid(),
		State:       g.state,
		Since:       g.since,
		Started:     g.started,
		Members:     members,
		InFlight:    work.InFlight.Requests,
		Connections: connections(work.InFlight),
		Coordinator: g.coordinator,
		Flushed:     int64(g.flushed),
	}
	if !work.Deadline.IsZero() {
		st.DrainDeadline = &work.Deadline
	}
	if g.err != nil {
		st.Error = g.err.Error()
	}
	return st
}

func (g *Generation) members() []control.Member {
	var out []control.Member
	for _, l := range g.Listeners() {
		for _, c := range l.Cookies() {
			out = append(out, control.Member{Network: "tcp", Address: l.Group().String(), Cookie: c})
		}
	}
	return out
}

func connections(c drain.Counts) map[string]int {
	return map[string]int{"new": c.New, "active": c.Active, "idle": c.Idle, "hijacked": c.Hijacked, "other": c.Other}
}
