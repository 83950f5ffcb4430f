package main

import (
	"errors"
	"fmt"
	"io"
)

// What the process exits with.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitImpossible  = 7
	exitInterrupted = 130
)

// exitCodes is the end of every help text.
const exitCodes = `
Exit codes:
  0    done
  1    failed
  2    wrong usage
  7    impossible here: this system, user or port can't do it
  130  interrupted
`

// exitError is an error with an exit code of its own, and the way out where it
// is known.
type exitError struct {
	code int
	err  error
	hint string
}

// Error returns the error without the hint.
func (e *exitError) Error() string { return e.err.Error() }

// Unwrap returns the error that e adds to.
func (e *exitError) Unwrap() error { return e.err }

// report tells the user about err on w, and returns the exit code for it.
func report(w io.Writer, err error) int {
	if err == nil {
		return exitDone
	}
	fmt.Fprintf(w, "handover: error: %v\n", err)
	e, known := errors.AsType[*exitError](err)
	if known && e.hint != "" {
		fmt.Fprintf(w, "hint: %s\n", e.hint)
	}
	switch {
	case known:
		return e.code
	case errors.Is(err, errors.ErrUnsupported):
		fmt.Fprintln(w, "hint: only Linux can do this; in a container of it, or on a server")
		return exitImpossible
	}
	return exitFailed
}
