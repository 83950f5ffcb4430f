package control

import (
	"context"
	"time"
)

// Protocol is the version of the protocol spoken here. It grows when a peer
// could tell the difference; see the package comment for the rules.
const Protocol = 1

// The verbs of protocol version 1, as in [Status.Verbs] and below /v1/ in paths.
const (
	VerbStatus = "status"
	VerbEvents = "events"
	VerbHold   = "hold"
	VerbPark   = "park"
	VerbResume = "resume"
	VerbDrain  = "drain"
	VerbStop   = "stop"
)

// Agent answers for one generation of a service.
//
// All methods may be called concurrently, and again after they succeeded; a
// second call in the state that the first one led to returns nil. The context
// of a call ends when the peer that asked goes away and when the [Server]
// closes, and the method must then return soon: a coordinator that dies half
// way is seen in this way. A request the generation's state does not allow
// returns an error that wraps [ErrConflict]; one that this agent can never
// fulfil, an error that wraps [errors.ErrUnsupported]; an [*Error] is passed on
// as it is, with its code and hint.
type Agent interface {
	// Status returns at once; it is called often.
	Status() Status

	// Hold attaches the steering program that names only this generation's own
	// members, so that nobody else's get a connection. It is used before
	// another generation listens, and to cut back to this one.
	Hold(ctx context.Context) error

	// Park tells the generation that another one gets the connections now. It
	// goes on listening, one Resume away from being active.
	Park(ctx context.Context, req ParkRequest) error

	// Resume makes a parked generation active again.
	Resume(ctx context.Context) error

	// Drain empties the accept queues, closes the listeners and returns. Then,
	// by itself, the generation finishes what it began and exits.
	Drain(ctx context.Context, req DrainRequest) (DrainReply, error)

	// Stop cuts and counts what is left and ends the generation without
	// waiting. It returns when that has begun.
	Stop(ctx context.Context) error
}

// ParkRequest asks a generation to stay behind another one for a while.
type ParkRequest struct {
	// Coordinator is the instance or socket name of the one that asks, for [Alive].
	Coordinator string `json:"coordinator,omitempty"`
	// CutoverAt is when new connections began to go elsewhere, by the clock
	// of the coordinator's machine, which is also the agent's. Zero: unknown.
	CutoverAt time.Time `json:"cutover_at,omitzero"`
	// Bake is how long the coordinator means to keep it parked. Zero: not said.
	Bake time.Duration `json:"bake_ns,omitempty"`
}

// DrainRequest asks a generation to leave.
type DrainRequest struct {
	// Coordinator is the instance or socket name of the one that asks, for [Alive].
	Coordinator string `json:"coordinator,omitempty"`
	// FlushTimeout bounds the wait for the queues, DrainTimeout the time for
	// what was begun. Zero: the agent's own setting.
	FlushTimeout time.Duration `json:"flush_timeout_ns,omitempty"`
	DrainTimeout time.Duration `json:"drain_timeout_ns,omitempty"`
	// CutoverAt is as in [ParkRequest].
	CutoverAt time.Time `json:"cutover_at,omitzero"`
}

// DrainReply tells how the flush went. The drain itself goes on after it: see
// the agent's [Status] and events.
type DrainReply struct {
	Flushed       int           `json:"flushed"`             // connections rescued from the queues after the cutover
	FlushDuration time.Duration `json:"flush_duration_ns"`   // from the request to empty queues
	TimedOut      bool          `json:"timed_out,omitempty"` // the queues were closed before they were seen empty
	Left          int           `json:"left,omitempty"`      // what was queued then, and so was lost
}
