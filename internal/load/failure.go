package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// Kind says how a request failed. Its text form, also in JSON, is its name in messages.
type Kind uint8

const (
	// Refused: nothing listens on the port.
	Refused Kind = iota
	// DialTimeout: the connection, or its TLS handshake, was not made within Config.DialTimeout.
	DialTimeout
	// DialFailed: the connection could not be made for another reason, such as no free port, no free descriptor or a
	// certificate that is not trusted.
	DialFailed
	// ResetBefore: the connection was reset, or found closed by writing, before the whole request had been written.
	ResetBefore
	// ResetAfter: the connection or the HTTP/2 stream was reset after the request had been written and before the first
	// byte of its answer.
	ResetAfter
	// Closed: the connection was closed before the first byte of an answer.
	Closed
	// Truncated: the answer began and did not end, as its connection was closed or reset.
	Truncated
	// Timeout: no whole answer within Config.Timeout.
	Timeout
	// WrongStatus: an answer with another status than 200.
	WrongStatus
	// WrongBody: a whole answer that isn't the one to this request.
	WrongBody
	// Malformed: what came back isn't the protocol spoken.
	Malformed

	kindCount
)

var kindNames = [kindCount]string{
	"refused", "dial timeout", "dial failed", "reset before the request was sent", "reset after the request was sent",
	"closed without an answer", "truncated", "timeout", "wrong status", "wrong body", "malformed",
}

// String returns the kind's name in messages.
func (k Kind) String() string {
	if k >= kindCount {
		return fmt.Sprintf("kind %d", uint8(k))
	}
	return kindNames[k]
}

// MarshalText implements [encoding.TextMarshaler].
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Failure is one failed request, for people who look for the reason.
type Failure struct {
	Pattern Pattern       `json:"pattern"`
	Kind    Kind          `json:"kind"`
	Error   string        `json:"error"`
	Time    time.Time     `json:"time"`  // when it was found to have failed
	After   time.Duration `json:"after"` // since the request was begun
	Local   string        `json:"local"` // the client's address, empty where there was no connection
	Remote  string        `json:"remote"`
	Served  int           `json:"served"`  // requests answered before on the same HTTP/1.1 connection
	Version string        `json:"version"` // the version that gave this client its last answer
}

// String describes the failure in one line.
func (f Failure) String() string {
	return fmt.Sprintf("%s %s: %s after %v on %s -> %s (request %d of its connection, last answer from %q): %s",
		f.Time.Format("15:04:05.000000"), f.Pattern, f.Kind, f.After.Round(time.Microsecond), f.Local, f.Remote,
		f.Served+1, f.Version, f.Error)
}

// phase is how far a request has come.
type phase uint8

const (
	dialing phase = iota
	sending
	awaiting // the first byte of the answer
	reading
)

var phaseNames = [...]string{"connect", "send the request", "await the answer", "read the answer"}

func (p phase) String() string { return phaseNames[p] }

// exchangeError is why a request failed.
type exchangeError struct {
	kind   Kind
	err    error
	local  net.Addr // nil where there was no connection
	served int
}

func (e *exchangeError) Error() string { return e.err.Error() }

// fail returns an error of a known kind.
func fail(kind Kind, format string, args ...any) *exchangeError {
	return &exchangeError{kind: kind, err: fmt.Errorf(format, args...)}
}

// failIn returns an error met in phase p, of the kind that follows from both.
func failIn(p phase, err error) *exchangeError {
	return fail(classify(p, err), "%v: %w", p, err)
}

// streamError is what net/http fills in, through errors.As, for an HTTP/2 stream that was reset: it goes by the names of fields.
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (e streamError) Error() string {
	return fmt.Sprintf("stream %d reset with code %d", e.StreamID, e.Code)
}

// classify returns the kind of an error met in phase p.
func classify(p phase, err error) Kind {
	var timeout net.Error
	var stream streamError
	reset := isReset(err) || errors.As(err, &stream)
	closed := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || isGoAway(err)
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded),
		errors.As(err, &timeout) && timeout.Timeout():
		if p == dialing {
			return DialTimeout
		}
		return Timeout
	case p == reading && (reset || closed):
		return Truncated
	case isRefused(err):
		return Refused
	case reset && p <= sending:
		return ResetBefore
	case reset:
		return ResetAfter
	case closed:
		return Closed
	case p == dialing:
		return DialFailed
	default:
		return Malformed
	}
}
