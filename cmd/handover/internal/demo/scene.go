package demo

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/gohandover/handover/internal/control"
	"github.com/gohandover/handover/internal/load"
)

const (
	// readyTimeout bounds the start of a healthy version, and drainTimeout the
	// end of one that was told to leave: longer than its own bound of 30 s.
	readyTimeout = 90 * time.Second
	drainTimeout = 45 * time.Second

	// sickTimeout is how long a version may take to get healthy that never does.
	sickTimeout = time.Second

	// maxLoad is longer than any demo: the load ends when it is stopped.
	maxLoad = time.Duration(math.MaxInt64)

	keepFailures = 100
)

// scene is one way from its first version to its last, under load.
type scene struct {
	cfg     Config
	way     Way
	service string
	tell    func(Event)
	swap    func(ctx context.Context, old, next *child, t *Takeover) error
	refuse  func(ctx context.Context, c *child) (Sick, error)

	active *child
	begun  []*child
	report *WayReport

	mu       sync.Mutex
	load     *load.Load
	address  string
	step     string
	version  string
	takeover int
}

func newScene(cfg Config, w Way, tell func(Event)) *scene {
	s := &scene{
		cfg: cfg, way: w, service: "demo-" + control.NewInstance(), tell: tell,
		report: &WayReport{Way: w},
	}
	s.swap, s.refuse = s.handOver, s.awaitRefusal
	if w == Naive {
		s.swap, s.refuse = s.restart, s.giveUp
	}
	return s
}

// play starts the first version and the load, replaces the server as often as
// is wanted, and ends everything.
func (s *scene) play(ctx context.Context) (*WayReport, error) {
	defer s.killAll()
	if err := s.first(ctx); err != nil {
		return nil, err
	}
	err := s.replaceAll(ctx)
	if err == nil {
		err = s.pause(ctx)
	}
	s.setStep("the last requests end")
	result := s.load.Stop()
	s.report.add(result)
	if err == nil {
		err = s.last(ctx)
	}
	return s.report, err
}

// first starts the first version and the load.
func (s *scene) first(ctx context.Context) error {
	c, err := s.start(1, false)
	if err != nil {
		return err
	}
	ready, err := awaitFor(ctx, c, saidReady, readyTimeout)
	if err != nil {
		return err
	}
	s.active = c
	l, err := load.Start(context.WithoutCancel(ctx), load.Config{
		Address: ready.Address, Clients: s.cfg.Clients, MaxDuration: maxLoad, KeepFailures: keepFailures,
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.address, s.load, s.version = ready.Address, l, c.version
	s.mu.Unlock()
	s.say("%s: %s serves %s, %d clients begin", s.way, c.version, ready.Address, s.cfg.Clients)
	return nil
}

// replaceAll performs the takeovers. In the middle of them comes the version that
// never gets healthy.
func (s *scene) replaceAll(ctx context.Context) error {
	for n := 1; n <= s.cfg.Takeovers; n++ {
		if n == s.cfg.Takeovers/2+1 {
			if err := s.trySick(ctx, n+1); err != nil {
				return err
			}
		}
		if err := s.replace(ctx, n); err != nil {
			return fmt.Errorf("takeover %d: %w", n, err)
		}
	}
	return nil
}

// replace performs the takeover by version n+1.
func (s *scene) replace(ctx context.Context, n int) error {
	if err := s.pause(ctx); err != nil {
		return err
	}
	old := s.active
	next, err := s.start(n+1, false)
	if err != nil {
		return err
	}
	t := Takeover{Number: n, From: old.version, To: next.version, Began: next.began}
	s.mu.Lock()
	s.takeover = n
	s.mu.Unlock()
	before := s.load.Stats().Total.Failed
	if err = s.swap(ctx, old, next, &t); err != nil {
		t.Error = err.Error()
	}
	t.Failed = s.load.Stats().Total.Failed - before
	s.report.Takeovers = append(s.report.Takeovers, t)
	s.tell(Event{Way: s.way, Text: t.String(), Bad: err != nil || t.Failed > 0})
	if err != nil {
		return err
	}
	s.active = next
	s.mu.Lock()
	s.version = next.version
	s.mu.Unlock()
	return nil
}

// trySick brings in a version that never gets healthy, in place of version n.
func (s *scene) trySick(ctx context.Context, n int) error {
	if err := s.pause(ctx); err != nil {
		return err
	}
	c, err := s.start(n, true)
	if err != nil {
		return err
	}
	sick, err := s.refuse(ctx, c)
	if err != nil {
		return err
	}
	sick.Version, sick.ExitCode, sick.Took = c.version, c.exitCode(), c.ended.Sub(c.began)
	s.report.Sick = sick
	s.say("%s never got healthy: given up after %s, exit code %d, %s serves on", sick.Version, short(sick.Took), sick.ExitCode, s.active.version)
	return nil
}

// last ends the version that is left, now that nobody asks it.
func (s *scene) last(ctx context.Context) error {
	s.setStep(s.active.version + " ends")
	if err := s.active.terminate(); err != nil {
		return err
	}
	return waitFor(ctx, s.active, drainTimeout)
}

// start starts version n.
func (s *scene) start(n int, sick bool) (*child, error) {
	address := s.address
	if address == "" {
		address = "127.0.0.1:0"
	}
	cfg := ServerConfig{
		Way: s.way, Service: s.service, Version: fmt.Sprintf("v%d", n), Address: address, Sick: sick,
		Lifetime: defaultLifetime + 3*s.cfg.Between,
	}
	var env []string
	if sick {
		cfg.Version += "-sick"
		env = append(env, "HANDOVER_START_TIMEOUT="+sickTimeout.String())
	}
	s.setStep(cfg.Version + " starts")
	c, err := start(s.cfg.Command, cfg, env, func(m message) { s.onMessage(cfg.Version, m) })
	if err != nil {
		return nil, err
	}
	s.begun = append(s.begun, c)
	return c, nil
}

// onMessage keeps the step up to date.
func (s *scene) onMessage(version string, m message) {
	switch m.Said {
	case saidStarting:
		s.setStep(version + " is checked through the real port")
	case saidCutover:
		s.setStep(version + " has the new connections, the old queue is emptied")
	case saidReady:
		s.setStep(version + " serves, the old one finishes")
	}
}

// killAll ends what is still running.
func (s *scene) killAll() {
	if s.load != nil {
		s.load.Stop()
	}
	for _, c := range s.begun {
		c.kill()
	}
}

// pause lets the load go on for a while.
func (s *scene) pause(ctx context.Context) error {
	s.setStep(s.active.version + " serves")
	select {
	case <-time.After(s.cfg.Between):
		return nil
	case <-s.active.done:
		return s.active.failure()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *scene) say(format string, args ...any) {
	s.tell(Event{Way: s.way, Text: fmt.Sprintf(format, args...)})
}

func (s *scene) setStep(step string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.step = step
}

func (s *scene) progress() (Progress, bool) {
	s.mu.Lock()
	p := Progress{
		Way: s.way, Address: s.address, Step: s.step, Version: s.version,
		Takeover: s.takeover, Takeovers: s.cfg.Takeovers,
	}
	l := s.load
	s.mu.Unlock()
	if l == nil {
		return Progress{}, false
	}
	p.Stats = l.Stats()
	return p, true
}

func awaitFor(ctx context.Context, c *child, what string, d time.Duration) (message, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, d, fmt.Errorf("waited %v", d))
	defer cancel()
	return c.await(ctx, what)
}

func waitFor(ctx context.Context, c *child, d time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, d, fmt.Errorf("waited %v", d))
	defer cancel()
	return c.wait(ctx)
}
