package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// What callers branch on, with [errors.Is].
var (
	// ErrUnsupported: the peer is of another version and does not know the
	// request. It is also an [errors.ErrUnsupported].
	ErrUnsupported = fmt.Errorf("control: the agent does not know this request: %w", errors.ErrUnsupported)
	// ErrSquatted: the socket belongs to a user who is neither this one nor
	// root. The error is a [*SquattedError].
	ErrSquatted = errors.New("control: socket belongs to another user")
	// ErrGone: no such socket any more. The process ended, or is about to.
	ErrGone = errors.New("control: agent is gone")
	// ErrDeaf: the socket is there, and no answer came before the context's
	// deadline. The error is also a [context.DeadlineExceeded].
	ErrDeaf = errors.New("control: agent does not answer")
	// ErrBusy: the agent turned the request away because of too many others.
	ErrBusy = errors.New("control: agent is busy")
	// ErrConflict: the state of the generation does not allow the request.
	ErrConflict = errors.New("control: not possible in this state")
	// ErrProtocol: something answers there that does not speak this protocol.
	ErrProtocol = errors.New("control: not a handover agent")
	// ErrTooMany: more sockets than anyone honest would open; some were left out.
	ErrTooMany = errors.New("control: too many sockets of this kind")
)

// errClosed is why the calls of a closing server end.
var errClosed = errors.New("the agent is shutting down")

// The codes of an [Error]. A newer peer may send others.
const (
	CodeUnsupported = "unsupported"
	CodeBadRequest  = "bad_request"
	CodeTooLarge    = "too_large"
	CodeBusy        = "busy"
	CodeConflict    = "conflict"
	CodeTimeout     = "timeout"
	CodeClosing     = "closing"
	CodeFailed      = "failed"
)

// codes maps each code to its HTTP status and to what [errors.Is] finds in it.
var codes = map[string]struct {
	status int
	is     error
}{
	CodeUnsupported: {http.StatusNotImplemented, ErrUnsupported},
	CodeBadRequest:  {http.StatusBadRequest, nil},
	CodeTooLarge:    {http.StatusRequestEntityTooLarge, nil},
	CodeBusy:        {http.StatusServiceUnavailable, ErrBusy},
	CodeConflict:    {http.StatusConflict, ErrConflict},
	CodeTimeout:     {http.StatusGatewayTimeout, nil},
	CodeClosing:     {http.StatusServiceUnavailable, ErrGone},
	CodeFailed:      {http.StatusInternalServerError, nil},
}

// Error is a refusal or failure as it crosses the socket. An [Agent] may
// return one to choose the code and to give a hint.
type Error struct {
	Message string `json:"error"`
	Code    string `json:"code"`           // one of the Code constants; empty means [CodeFailed]
	Hint    string `json:"hint,omitempty"` // the way out, where it is known

	status int // of the HTTP answer it came in; 0 where it did not
}

// Error returns the message, and the hint in brackets.
func (e *Error) Error() string {
	if e.Hint == "" {
		return e.Message
	}
	return e.Message + " (" + e.Hint + ")"
}

// Unwrap makes [errors.Is] find the sentinel that belongs to the code, or for a
// code that is not known here, to the HTTP status.
func (e *Error) Unwrap() error {
	if known, ok := codes[e.Code]; ok {
		return known.is
	}
	return codes[codeOf(e.status)].is
}

// SquattedError says that the socket found under a service's name belongs to a
// user whom this process does not obey. It is an [ErrSquatted].
type SquattedError struct {
	Name string // of the socket, "@" first for an abstract one
	UID  uint32 // of its owner, in this process's user namespace
	Self uint32 // this process's effective uid
	// Unmapped: UID is the kernel's stand-in for users without a number in this
	// namespace, so it cannot be told whether it is the same user.
	Unmapped bool
}

// Error names the socket, its owner and the way out.
func (e *SquattedError) Error() string {
	if e.Unmapped {
		return fmt.Sprintf("control socket %s belongs to a user who has no uid in this user namespace (shown as %d): "+
			"run both generations as one user that is mapped here, and not as %d", e.Name, e.UID, e.UID)
	}
	return fmt.Sprintf("control socket %s belongs to uid %d, not to uid %d or root: "+
		"stop that process, run both generations as one user, or choose another service name", e.Name, e.UID, e.Self)
}

// Unwrap returns [ErrSquatted].
func (e *SquattedError) Unwrap() error { return ErrSquatted }

// wireError turns what an agent returned into what is sent.
func wireError(ctx context.Context, err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	e := &Error{Message: err.Error(), Code: CodeFailed}
	switch {
	case errors.Is(context.Cause(ctx), errClosed):
		e.Code = CodeClosing
	case errors.Is(err, errors.ErrUnsupported):
		e.Code = CodeUnsupported
	case errors.Is(err, ErrConflict):
		e.Code = CodeConflict
	case errors.Is(err, context.DeadlineExceeded):
		e.Code = CodeTimeout
	}
	return e
}

// readError makes an Error of a response that is not a success. What is not
// JSON, or is JSON of something else, is judged by the HTTP status alone.
func readError(status int, body []byte) *Error {
	e := new(Error)
	if json.Unmarshal(body, e) != nil || e.Message == "" {
		*e = Error{Message: fmt.Sprintf("HTTP status %d %s", status, http.StatusText(status))}
	}
	if e.Code == "" {
		e.Code = codeOf(status)
	}
	e.status = status
	return e
}

func codeOf(status int) string {
	switch status {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return CodeUnsupported
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		return CodeBusy
	case http.StatusConflict:
		return CodeConflict
	}
	return CodeFailed
}
