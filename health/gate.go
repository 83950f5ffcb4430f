package health

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"
)

// Defaults of a [Gate].
const (
	DefaultRise         = 2
	DefaultFall         = 3
	DefaultInterval     = 250 * time.Millisecond
	DefaultTimeout      = 2 * time.Second
	DefaultStartTimeout = 60 * time.Second
)

var errStartTimeout = errors.New("start timeout")

// Gate repeats probes until they can be believed. The zero value has no probes and passes at once. A Gate is a value: it may be
// copied, and used by several goroutines if its probes may.
type Gate struct {
	// Probes are run independently of each other, each at most once at a time.
	Probes []Probe

	// Rise is how many successes in a row make a probe healthy; zero means DefaultRise.
	Rise int

	// Fall is how many failures in a row make a probe unhealthy for Watch; zero means DefaultFall.
	Fall int

	// Interval is the pause between two tries of a probe; zero means DefaultInterval.
	Interval time.Duration

	// Timeout bounds one try of a probe; zero means DefaultTimeout.
	Timeout time.Duration

	// StartTimeout bounds Pass as a whole; zero means DefaultStartTimeout.
	StartTimeout time.Duration

	// Observer, if set, is told of every try, one after the other. The gate waits for it.
	Observer func(Event)
}

// Event is one try of a probe.
type Event struct {
	Probe Probe
	Err   error         // the answer; nil if it was good
	Took  time.Duration // until the answer, or until it was given up
	Tries int           // how often the probe was tried, this one included
	Row   int           // how many tries in a row went like this one, this one included
}

// Validate reports what is wrong with the gate or its probes. It has no side effect; Pass and Watch call it first.
func (g Gate) Validate() error {
	if g.Rise < 0 || g.Fall < 0 {
		return fmt.Errorf("gate: negative count (rise %d, fall %d)", g.Rise, g.Fall)
	}
	if g.Interval < 0 || g.Timeout < 0 || g.StartTimeout < 0 {
		return fmt.Errorf("gate: negative duration (interval %v, timeout %v, start timeout %v)", g.Interval, g.Timeout, g.StartTimeout)
	}
	for i, p := range g.Probes {
		if v := reflect.ValueOf(p); p == nil || v.Kind() == reflect.Pointer && v.IsNil() {
			return fmt.Errorf("gate: probe %d is nil", i)
		}
		if v, ok := p.(interface{ Validate() error }); ok {
			if err := v.Validate(); err != nil {
				return fmt.Errorf("gate: probe %d (%s): %w", i, oneLine(p.String()), err)
			}
		}
	}
	return nil
}

// Pass returns nil as soon as every probe has a row of Rise successes at the same moment. Otherwise, when StartTimeout is over or ctx
// ends, it returns an [*UnhealthyError] with the last answer of each probe that was not healthy. The first
// tries begin at once. Before anything is tried, an invalid gate gets the error of Validate, and a ctx that has ended gets its
// cause. A gate without probes passes at once.
func (g Gate) Pass(ctx context.Context) error {
	if err := g.Validate(); err != nil {
		return err
	}
	if len(g.Probes) == 0 || ctx.Err() != nil {
		return context.Cause(ctx)
	}
	g = g.withDefaults()
	ctx, cancel := context.WithTimeoutCause(ctx, g.StartTimeout, errStartTimeout)
	defer cancel()
	r := g.start(ctx)
	defer r.stop()
	for {
		if !r.next(ctx) {
			return r.unhealthy(context.Cause(ctx), func(s *series) bool { return s.good < g.Rise })
		}
		if r.all(func(s *series) bool { return s.good >= g.Rise }) {
			return nil
		}
	}
}

// Watch runs the probes until one of them has failed Fall times in a row, and returns an [*UnhealthyError] with its last answer. When
// ctx ends first it returns ctx's cause. The first tries begin at once; a probe counts as healthy before it. A gate without
// probes is healthy until ctx ends. An invalid gate gets the error of Validate.
func (g Gate) Watch(ctx context.Context) error {
	if err := g.Validate(); err != nil {
		return err
	}
	g = g.withDefaults()
	r := g.start(ctx)
	defer r.stop()
	r.watching = true
	for r.next(ctx) {
		if !r.all(func(s *series) bool { return s.bad < g.Fall }) {
			return r.unhealthy(nil, func(s *series) bool { return s.bad >= g.Fall })
		}
	}
	return context.Cause(ctx)
}

func (g Gate) withDefaults() Gate {
	g.Rise = cmp.Or(g.Rise, DefaultRise)
	g.Fall = cmp.Or(g.Fall, DefaultFall)
	g.Interval = cmp.Or(g.Interval, DefaultInterval)
	g.Timeout = cmp.Or(g.Timeout, DefaultTimeout)
	g.StartTimeout = cmp.Or(g.StartTimeout, DefaultStartTimeout)
	return g
}
