package health

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
)

// servingName stands for the state of the server itself in a list of checks.
const servingName = "serving"

var (
	errStarting = errors.New("starting")
	errDraining = errors.New("draining")
)

// Options configures a [Health]. The zero value is a server without checks, ready at once.
type Options struct {
	// Checks are the conditions of being ready, shown in this order.
	Checks []Check

	// Starting makes the server not ready, for the reason "starting", until [Health.SetStarted].
	Starting bool

	// WithholdReasons replaces the reason of each failed check by "reason withheld" in answers over HTTP.
	// [Health.Ready] still gives it.
	WithholdReasons bool
}

// Health is what a server knows about its own health. Make one with [New]. All methods may be called at any time from
// any goroutine.
type Health struct {
	checks   []*runningCheck
	withhold bool
	starting atomic.Bool
	draining atomic.Bool
}

type runningCheck struct {
	name string
	call call
}

// New returns a Health. It fails on a check without a name or a Func, with an unfit or repeated name, or a negative timeout.
func New(o Options) (*Health, error) {
	h := &Health{withhold: o.WithholdReasons}
	h.starting.Store(o.Starting)
	seen := make(map[string]bool, len(o.Checks))
	for _, c := range o.Checks {
		if err := c.validate(); err != nil {
			return nil, err
		}
		if seen[c.Name] {
			return nil, fmt.Errorf("check %q: the name is used twice", c.Name)
		}
		seen[c.Name] = true
		h.checks = append(h.checks, &runningCheck{c.Name, call{timeout: cmp.Or(c.Timeout, DefaultCheckTimeout), fn: c.Func}})
	}
	return h, nil
}

// SetStarted ends the starting state for good. A second call does nothing. It does not end draining.
func (h *Health) SetStarted() { h.starting.Store(false) }

// SetDraining turns ready false at once, for the reason "draining". SetDraining(false) takes it back, for a server that
// is made active again.
func (h *Health) SetDraining(draining bool) { h.draining.Store(draining) }

// Ready runs the checks and returns nil if the server welcomes new clients. Otherwise the error is "starting", "draining", or
// names each failing check: "db: connection refused; cache: no answer within 5s". Checks are not run while starting
// or draining. If ctx ends first, checks that have not answered fail with its cause; their calls go on within their
// timeouts. Errors returned by checks can be found with errors.Is and errors.As.
func (h *Health) Ready(ctx context.Context) error {
	r := h.examine(ctx, nil)
	if r.state != nil {
		return r.state
	}
	var texts []string
	var errs []error
	for _, c := range r.checks {
		if c.err != nil {
			texts = append(texts, c.name+": "+oneLine(c.err.Error()))
			errs = append(errs, c.err)
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return &textError{strings.Join(texts, "; "), errors.Join(errs...)}
}

// examine runs all checks but the excluded ones, at the same time, and waits for each.
func (h *Health) examine(ctx context.Context, excluded map[string]bool) report {
	r := report{state: h.state()}
	if r.state != nil {
		return r
	}
	flights := make([]*flight, len(h.checks))
	for i, c := range h.checks {
		if !excluded[c.name] {
			// Not ctx: the call is shared, and one client that hangs up must not fail it for the others.
			flights[i], _ = c.call.begin(context.Background())
		}
	}
	for i, c := range h.checks {
		result := checkResult{name: c.name, excluded: flights[i] == nil}
		if flights[i] != nil {
			result.err = flights[i].wait(ctx)
		}
		r.checks = append(r.checks, result)
	}
	r.state = h.state() // it may have changed while the checks ran
	return r
}

// state returns why the server as a whole is not serving, or nil.
func (h *Health) state() error {
	switch {
	case h.draining.Load():
		return errDraining
	case h.starting.Load():
		return errStarting
	}
	return nil
}
