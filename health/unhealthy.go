package health

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// ErrUnhealthy is what every [*UnhealthyError] is, for errors.Is.
var ErrUnhealthy = errors.New("not healthy")

var errNoAnswer = errors.New("no answer yet")

// UnhealthyError says which probes of a [Gate] were not healthy, and why.
type UnhealthyError struct {
	After    time.Duration // since Pass or Watch began
	Watching bool          // from Watch, not from Pass
	Failures []Failure     // in the order of the gate's probes; at least one
	Cause    error         // why ctx ended, if that ended Pass before its time; else nil
}

// Failure is the last answer of a probe that is not healthy.
type Failure struct {
	Probe Probe
	Err   error // never nil: a good answer that was one too few says so
	Tries int
	Row   int // failures in a row at the end
}

// Error returns one line for people.
func (e *UnhealthyError) Error() string {
	var b strings.Builder
	var tries, row int
	for _, f := range e.Failures {
		tries, row = max(tries, f.Tries), max(row, f.Row)
	}
	switch {
	case e.Watching:
		fmt.Fprintf(&b, "no longer healthy after %s (%s in a row)", short(e.After), plural(row, "failure", "failures"))
	case e.Cause != nil:
		fmt.Fprintf(&b, "not healthy when stopped after %s (%s; %s)", short(e.After), plural(tries, "try", "tries"), oneLine(e.Cause.Error()))
	default:
		fmt.Fprintf(&b, "not healthy after %s (%s)", short(e.After), plural(tries, "try", "tries"))
	}
	separator := ": "
	for _, f := range e.Failures {
		fmt.Fprintf(&b, "%s%s: %s", separator, oneLine(f.Probe.String()), oneLine(f.Err.Error()))
		separator = "; "
	}
	return b.String()
}

// Unwrap returns ErrUnhealthy, the cause, and the last answers.
func (e *UnhealthyError) Unwrap() []error {
	errs := []error{ErrUnhealthy}
	if e.Cause != nil {
		errs = append(errs, e.Cause)
	}
	for _, f := range e.Failures {
		errs = append(errs, f.Err)
	}
	return errs
}

// answer returns why the series is not healthy.
func (s *series) answer(rise int) error {
	switch {
	case s.tries == 0:
		return errNoAnswer
	case s.err == nil:
		return fmt.Errorf("good answers in a row: %d of %d", s.good, rise)
	}
	return s.err
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
