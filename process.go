package handover

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gohandover/handover/drain"
	"github.com/gohandover/handover/health"
	"github.com/gohandover/handover/internal/control"
	"github.com/gohandover/handover/internal/cutover"
	"github.com/gohandover/handover/internal/generation"
	"github.com/gohandover/handover/reuse"
)

// process is this process's part in the life of a service: the generation, its
// control socket, and the handover that brings it in.
type process struct {
	opts Options
	gen  *generation.Generation
	ctl  *control.Server

	handover context.Context // ends when the process is told to, before it has the clients
	abort    context.CancelCauseFunc
	over     chan struct{} // closed when the handover is done
	forced   chan struct{} // closed by force

	endOnce, forceOnce sync.Once

	mu   sync.Mutex
	info Info
}

// errTold is why a handover ends that its own process gave up.
var errTold = errors.New("told to stop")

// newProcess prepares everything and touches nothing but the control socket.
func newProcess(opts Options, network string, serve func(net.Listener) error, scheme string) (*process, error) {
	ctl, err := control.Listen(opts.Name, control.Options{Logger: opts.Logger})
	if err != nil {
		return nil, err
	}
	p := &process{opts: opts, ctl: ctl, over: make(chan struct{}), forced: make(chan struct{})}
	p.handover, p.abort = context.WithCancelCause(context.Background())
	var addresses []generation.Address
	for _, a := range opts.Addresses {
		addresses = append(addresses, generation.Address{Network: network, Address: a})
	}
	p.gen = generation.New(generation.Config{
		Instance:  ctl.Peer().Instance,
		Service:   opts.Name,
		Version:   opts.Version,
		Addresses: addresses,
		Socket:    reuse.Config{Control: opts.Control},
		Serve:     serve,
		Probes: func(a net.Addr, dial health.DialFunc) ([]health.Probe, error) {
			return probes(opts.Probes, scheme, a, dial)
		},
		Gate:         opts.Gate,
		Health:       opts.Health,
		Drain:        opts.Drain,
		FlushTimeout: opts.FlushTimeout,
		Prepare:      opts.Hooks.BeforeStart,
		Events:       ctl.Events(),
		Logger:       opts.Logger,
	})
	return p, nil
}

// run brings the generation in and returns when it has ended: nil if it was
// relieved or told to stop, and all it had begun has finished. Ended by force it
// does not wait for a hook that doesn't return.
func (p *process) run(ctx context.Context) error {
	ended := make(chan error, 1)
	go func() { ended <- p.live(ctx) }()
	select {
	case err := <-ended:
		return err
	case <-p.forced:
	}
	select {
	case err := <-ended:
		return err
	case <-p.stuck():
		return fmt.Errorf("handover: service %s: %w in the middle of a hook", p.opts.Name, drain.ErrForced)
	}
}

// forceGrace is how long a hook may take to return once the end is forced.
const forceGrace = time.Second

// stuck returns a channel that is closed when the process does not get on though
// it was told to end at once. The drain has its own limits.
func (p *process) stuck() <-chan struct{} {
	stuck := make(chan struct{})
	go func() {
		select {
		case <-p.gen.Closed():
			<-p.gen.Done()
			<-time.After(forceGrace)
		case <-time.After(forceGrace):
		}
		close(stuck)
	}()
	return stuck
}

func (p *process) live(ctx context.Context) error {
	defer p.ctl.Close()
	go func() {
		if err := p.ctl.Serve(p.gen); err != nil {
			p.opts.Logger.Warn("control socket", "error", err)
		}
	}()
	stop := make(chan struct{})
	defer close(stop)
	watchSignals(p.opts.Signals, p, stop)
	defer context.AfterFunc(ctx, p.end)()

	go p.watch(stop)
	if err := p.takeOver(); err != nil {
		p.gen.Fail(err)
		if wasCutBack(err) && p.opts.Hooks.AfterDrain != nil {
			p.opts.Hooks.AfterDrain(p.Info())
		}
		return err
	}
	close(p.over)
	<-p.gen.Done()
	if p.opts.Hooks.AfterDrain != nil {
		p.opts.Hooks.AfterDrain(p.Info())
	}
	return p.gen.Err()
}

func wasCutBack(err error) bool {
	var step *cutover.StepError
	return errors.As(err, &step) && step.CutBack
}

// watch gives the handover up when the generation ends by itself, as when its
// server stops.
func (p *process) watch(stop <-chan struct{}) {
	select {
	case <-p.gen.Closed():
		p.abort(cmp.Or(p.gen.Err(), errTold))
	case <-stop:
	}
}

// takeOver performs the handover that makes this process the active one.
func (p *process) takeOver() error {
	c := cutover.Coordinator{
		Service:        p.opts.Name,
		Instance:       p.ctl.Peer().Instance,
		New:            p.gen,
		LockTimeout:    p.opts.LockTimeout,
		FlushTimeout:   p.opts.FlushTimeout,
		ForeignTimeout: p.opts.ForeignTimeout,
		Bake:           p.opts.Bake,
		Observe:        p.observe,
	}
	result, err := c.Run(p.handover)
	p.setInfo(result)
	if err != nil {
		return fmt.Errorf("handover: service %s: %w", p.opts.Name, err)
	}
	p.opts.Logger.Info("handover done", "service", p.opts.Name, "generation", result.Generation,
		"predecessor", result.Predecessor, "cutover", result.CutoverTook, "flush", result.FlushTook, "flushed", result.Flushed)
	if p.opts.Hooks.Ready != nil {
		p.opts.Hooks.Ready(p.Info())
	}
	return nil
}

// observe logs and publishes what the coordinator does, and calls the hook that
// belongs to the cutover.
func (p *process) observe(e cutover.Event) {
	p.setInfo(e.Result)
	log := p.opts.Logger.With("service", p.opts.Name, "generation", p.gen.Number(), "step", string(e.Step))
	switch {
	case e.Err != nil:
		log.Error("handover failed", "error", e.Err)
	case e.Warning:
		log.Warn(e.Message)
	case e.Took > 0:
		log.Debug("step done", "took", e.Took)
	case e.Message != "":
		log.Info(e.Message)
	}
	message := e.Message
	if e.Err != nil {
		message = e.Err.Error()
	}
	p.ctl.Events().Publish(control.Event{Time: e.Time, Generation: p.gen.Number(), Type: string(e.Step), Message: message})
	if e.Step == cutover.StepCutover && e.Took > 0 && e.Err == nil && p.opts.Hooks.AfterCutover != nil {
		p.opts.Hooks.AfterCutover(p.Info())
	}
}

// end makes the process leave: a handover that brings it in is given up,
// otherwise it drains. Calling it again does nothing.
func (p *process) end() {
	p.abort(errTold)
	p.endOnce.Do(func() { go p.endActive() })
}

// endActive drains once the handover is over, one way or the other.
func (p *process) endActive() {
	select {
	case <-p.over:
		p.gen.End(context.Background())
	case <-p.gen.Done():
	}
}

// force ends what is left at once.
func (p *process) force() {
	p.opts.Drain.Force()
	p.gen.Hurry()
	p.end()
	p.forceOnce.Do(func() { close(p.forced) })
}

// Info returns what is known of the handover so far.
func (p *process) Info() Info {
	p.mu.Lock()
	defer p.mu.Unlock()
	info := p.info
	info.Generation = p.gen.Number()
	return info
}

func (p *process) setInfo(r cutover.Result) {
	var addresses []net.Addr
	for _, l := range p.gen.Listeners() {
		addresses = append(addresses, l.Addr())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.info = Info{
		Name:        p.opts.Name,
		Version:     p.opts.Version,
		Addresses:   addresses,
		Predecessor: r.Predecessor,
		Cutover:     r.CutoverTook,
		Flush:       r.FlushTook,
		Flushed:     r.Flushed,
		Warnings:    r.Warnings,
	}
}

// probes reads the probes of the options for one listener.
func probes(texts []string, scheme string, a net.Addr, dial health.DialFunc) ([]health.Probe, error) {
	var out []health.Probe
	for _, text := range texts {
		p, err := health.ParseProbe(text, scheme+"://"+a.String())
		if err != nil {
			return nil, err
		}
		if isOwn(text, a) {
			p = health.WithDial(p, dial)
		}
		out = append(out, p)
	}
	return out, nil
}

// isOwn tells whether a probe asks the port a on this host.
func isOwn(text string, a net.Addr) bool {
	if strings.HasPrefix(text, "/") {
		return true
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return false
	}
	host, port, err := net.SplitHostPort(a.String())
	if err != nil || u.Port() != port {
		return false
	}
	asked, err := netip.ParseAddr(u.Hostname())
	if err != nil {
		return u.Hostname() == "" || u.Hostname() == "localhost"
	}
	return asked.IsLoopback() || asked.IsUnspecified() || asked.String() == host
}
