package drain

import (
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// Phase is where a drain is. Phases follow each other in the order of their
// values, and none is skipped.
type Phase int

const (
	Serving     Phase = iota // no drain has begun
	Connections              // requests and connections finish
	Tasks                    // background tasks finish
	Cleanup                  // clean-ups run
	Done                     // all has ended
)

var phaseNames = [...]string{"serving", "connections", "tasks", "cleanup", "done"}

// String returns the phase's name in lower case.
func (p Phase) String() string {
	if p < 0 || int(p) >= len(phaseNames) {
		return fmt.Sprintf("phase(%d)", int(p))
	}
	return phaseNames[p]
}

// MarshalText implements [encoding.TextMarshaler] with the phase's name.
func (p Phase) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// Counts is what is in progress, by kind. A connection is of one kind at a time.
type Counts struct {
	Requests int // HTTP handlers running, those of hijacked connections included
	New      int // HTTP connections that have not made a request
	Active   int // HTTP connections with a request on them
	Idle     int // HTTP connections between two requests
	Hijacked int // connections taken over from the HTTP server and not yet closed
	Other    int // connections of a Listener, not yet closed
	Tasks    int // functions of Go and OnDrain that have not returned
}

// Connections returns the number of connections of all kinds.
func (c Counts) Connections() int { return c.New + c.Active + c.Idle + c.Hijacked + c.Other }

// Zero reports whether nothing is in progress.
func (c Counts) Zero() bool { return c == Counts{} }

// String lists the kinds that are not zero, such as "2 active, 1 tasks".
func (c Counts) String() string {
	var parts []string
	for _, k := range c.kinds() {
		if k.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", k.n, k.name))
		}
	}
	if parts == nil {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}

// LogValue implements [slog.LogValuer] with the kinds that are not zero.
func (c Counts) LogValue() slog.Value {
	var attrs []slog.Attr
	for _, k := range c.kinds() {
		if k.n > 0 {
			attrs = append(attrs, slog.Int(k.name, k.n))
		}
	}
	return slog.GroupValue(attrs...)
}

type kindCount struct {
	name string
	n    int
}

func (c Counts) kinds() []kindCount {
	return []kindCount{
		{"requests", c.Requests}, {"new", c.New}, {"active", c.Active}, {"idle", c.Idle},
		{"hijacked", c.Hijacked}, {"other", c.Other}, {"tasks", c.Tasks},
	}
}

// Status is a snapshot of a Drain at one moment.
type Status struct {
	Phase    Phase
	Started  time.Time // of the drain; zero while serving
	Deadline time.Time // zero while serving, or without a limit
	InFlight Counts
}

// PhaseStart says when a phase began.
type PhaseStart struct {
	Phase Phase
	At    time.Time
}

// CleanupError is a clean-up that failed.
type CleanupError struct {
	Name string // as given to Drain.Cleanup
	Err  error
}

// Error names the clean-up and says what failed.
func (e *CleanupError) Error() string { return fmt.Sprintf("clean-up %q: %v", e.Name, e.Err) }

// Unwrap returns Err.
func (e *CleanupError) Unwrap() error { return e.Err }

// Report is what a drain did.
type Report struct {
	Started  time.Time
	Ended    time.Time
	Phases   []PhaseStart    // in order, from Connections to Done
	AtStart  Counts          // what was in progress when the drain began
	Forced   Counts          // what was cut; zero if the drain was clean
	Cleanups []*CleanupError // clean-ups that failed, in the order they ran
}

// Duration returns how long the drain took, clean-ups included.
func (r Report) Duration() time.Duration { return r.Ended.Sub(r.Started) }

// Observer is told what a drain does, for metrics. Its methods are called
// synchronously by the goroutine that drains, in order, never two at a time, and
// with no lock held; they should return soon. For gauges poll [Drain.Status].
type Observer interface {
	// PhaseChanged is called when phase p begins.
	PhaseChanged(p Phase, at time.Time)
	// DrainEnded is called once, after PhaseChanged(Done): the duration of each
	// phase and what was cut are in r.
	DrainEnded(r Report)
}

// Status returns what is in progress now. The counts are taken one after the
// other, so a connection that changes meanwhile may be missed or seen twice.
// It costs a walk over all connections: for a metrics scrape, not for each request.
func (d *Drain) Status() Status {
	d.mu.Lock()
	s := Status{Started: d.report.Started, Deadline: d.deadline}
	if n := len(d.report.Phases); n > 0 {
		s.Phase = d.report.Phases[n-1].Phase
	}
	d.mu.Unlock()
	s.InFlight = d.counts()
	return s
}

func (d *Drain) counts() Counts {
	c := d.conns.counts()
	c.Requests = int(d.requests.Load())
	c.Hijacked = len(d.taken.live())
	c.Other = d.others.len()
	c.Tasks = int(d.tasks.Load())
	return c
}
