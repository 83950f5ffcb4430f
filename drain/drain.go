package drain

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

const (
	defaultTimeout        = 30 * time.Second
	defaultIdleGrace      = 5 * time.Second
	defaultCleanupTimeout = 10 * time.Second
)

var (
	// ErrForced is in the error of [Drain.Run] when something was cut: at the
	// deadline (then the error also Is [context.DeadlineExceeded]), by
	// [Drain.Force], or by the end of Run's context (then the error also Is its
	// cause). It is the [context.Cause] of requests and tasks cut that way.
	ErrForced = errors.New("drain: ended by force")

	// ErrDraining is returned for what must be set up before a drain begins.
	ErrDraining = errors.New("drain: already draining")
)

// Options say how long a drain may take and who is told. The zero value is
// ready to use.
type Options struct {
	// Timeout bounds the whole drain up to its clean-ups. What is left then is
	// cut and counted. 0 means 30 seconds, less than 0 no limit.
	Timeout time.Duration

	// IdleGrace is how long a connection with no request on it may stay quiet
	// before it is closed, counted from the later of the drain's start and
	// its last sign of life. 0 means 5 seconds; less than 0 closes at once.
	IdleGrace time.Duration

	// CleanupTimeout bounds each clean-up on its own. 0 means 10 seconds, less
	// than 0 no limit.
	CleanupTimeout time.Duration

	// Logger gets one record when a drain starts, one when it ends, and one for
	// each kind of thing that was cut. nil discards them.
	Logger *slog.Logger

	// Observer is told about phases and results. nil means nobody.
	Observer Observer
}

func (o Options) withDefaults() Options {
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.IdleGrace == 0 {
		o.IdleGrace = defaultIdleGrace
	}
	if o.CleanupTimeout == 0 {
		o.CleanupTimeout = defaultCleanupTimeout
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Drain knows what a process has begun, and ends it. Make one with [New],
// register servers, listeners, tasks and clean-ups, and call [Drain.Run] once
// no new connection comes any more. All methods may be called concurrently.
type Drain struct {
	given Options         // by the caller
	opts  Options         // with defaults
	ctx   context.Context // what tasks get: carries the Drain, cancelled by cut

	draining atomic.Bool
	begun    chan struct{} // closed when the drain begins
	quiet    chan struct{} // closed when no connection is left
	forced   chan struct{} // closed by Force
	done     chan struct{} // closed when all has ended
	wake     chan struct{} // something left; only used while draining

	conns  connTable
	taken  hijacked
	others others
	tasks  atomic.Int64

	mu        sync.Mutex
	servers   []*server
	listeners []*listener
	onDrain   []func()
	cleanups  []cleanup
	cancels   []context.CancelCauseFunc // of all contexts made by newContext
	running   bool                      // Run was called
	cause     error
	deadline  time.Time
	report    Report
	err       error

	_        [64]byte // requests is written by every core, draining read by every core
	requests atomic.Int64
	_        [64]byte
}

// New returns a Drain with nothing registered. It starts no goroutine.
func New(o Options) *Drain {
	d := &Drain{
		given:  o,
		opts:   o.withDefaults(),
		begun:  make(chan struct{}),
		quiet:  make(chan struct{}),
		forced: make(chan struct{}),
		done:   make(chan struct{}),
		wake:   make(chan struct{}, 1),
	}
	d.ctx = d.newContext(context.Background())
	return d
}

// Default fills in the options that were left zero when d was made; what was set
// stays. Call it before anything is served.
func (d *Drain) Default(o Options) {
	d.given.Timeout = cmp.Or(d.given.Timeout, o.Timeout)
	d.given.IdleGrace = cmp.Or(d.given.IdleGrace, o.IdleGrace)
	d.given.CleanupTimeout = cmp.Or(d.given.CleanupTimeout, o.CleanupTimeout)
	if d.given.Logger == nil {
		d.given.Logger = o.Logger
	}
	if d.given.Observer == nil {
		d.given.Observer = o.Observer
	}
	d.opts = d.given.withDefaults()
}

// Draining returns a channel that is closed when the drain begins.
func (d *Drain) Draining() <-chan struct{} { return d.begun }

// Quiet returns a channel that is closed when the last request and connection
// have ended, or were cut: from then on no handler will hand out new work, so a
// task that works for handlers can finish its queue and return.
func (d *Drain) Quiet() <-chan struct{} { return d.quiet }

// Done returns a channel that is closed when the drain has ended, clean-ups
// included.
func (d *Drain) Done() <-chan struct{} { return d.done }

// Force ends a running drain at once: what is left is cut, counted and logged,
// then the clean-ups run. Called before [Drain.Run] it makes Run do so; called
// again, or after the connections and tasks have ended, it does nothing.
func (d *Drain) Force() { d.force(nil) }

func (d *Drain) force(cause error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	select {
	case <-d.forced:
	default:
		d.cause = cause
		close(d.forced)
	}
}

// poke makes a running drain look again now rather than at its next sweep.
func (d *Drain) poke() {
	if !d.draining.Load() {
		return
	}
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// newContext returns a context that finds the Drain, and ends with it.
func (d *Drain) newContext(parent context.Context) context.Context {
	ctx, cancel := context.WithCancelCause(context.WithValue(parent, drainKey{}, d))
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cancels = append(d.cancels, cancel)
	return ctx
}

// cancelAll ends all contexts, before it returns.
func (d *Drain) cancelAll(cause error) {
	d.mu.Lock()
	cancels := d.cancels
	d.mu.Unlock()
	for _, cancel := range cancels {
		cancel(cause)
	}
}

type drainKey struct{}

// Draining returns a channel that is closed when the drain begins that ctx
// belongs to: ctx is that of a request served by a server given to
// [Drain.Server] (it still works after the connection was hijacked), of a task
// of [Drain.Go], or derived from one. For any other ctx the channel is nil: it
// blocks forever, so it can stand in a select unconditionally.
func Draining(ctx context.Context) <-chan struct{} {
	d, ok := ctx.Value(drainKey{}).(*Drain)
	if !ok {
		return nil
	}
	return d.begun
}
