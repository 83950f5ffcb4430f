package cutover

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gohandover/handover/internal/control"
)

// A predecessor is somebody who listens on the service's addresses.
type predecessor interface {
	// name tells people who it is.
	name() string

	// cookies are its sockets.
	cookies() []uint64

	// hold makes it put a program in force that names only itself; also to cut
	// back to it.
	hold(ctx context.Context) error

	// park tells it that clients go elsewhere now but may come back.
	park(ctx context.Context, req control.ParkRequest) error

	// patience is how long retiring it may take beyond the flush.
	patience() time.Duration

	// retire empties its queues and closes its listeners. It returns once they
	// are closed, or with an error that says why they may not be.
	retire(ctx context.Context, req control.DrainRequest) (control.DrainReply, error)
}

// agent is a predecessor that answers on its control socket.
type agent struct {
	client *control.Client
	status control.Status
	plain  *foreign // the same one as somebody who can't be asked
}

func (a *agent) name() string {
	s := fmt.Sprintf("generation %d", a.status.Generation)
	if a.status.Version != "" {
		s += fmt.Sprintf(" (%s)", a.status.Version)
	}
	return fmt.Sprintf("%s, pid %d", s, a.status.PID)
}

func (a *agent) cookies() []uint64 {
	var out []uint64
	for _, m := range a.status.Members {
		out = append(out, m.Cookie)
	}
	return out
}

func (a *agent) hold(ctx context.Context) error { return a.client.Hold(ctx) }

func (a *agent) park(ctx context.Context, req control.ParkRequest) error {
	return a.client.Park(ctx, req)
}

func (a *agent) patience() time.Duration {
	if !a.status.Supports(control.VerbDrain) {
		return a.plain.patience()
	}
	return 0
}

// retire asks it to drain. One of another version that doesn't know how is
// treated as a server without a control socket.
func (a *agent) retire(ctx context.Context, req control.DrainRequest) (control.DrainReply, error) {
	reply, err := a.client.Drain(ctx, req)
	if errors.Is(err, errors.ErrUnsupported) {
		return a.plain.retire(ctx, req)
	}
	return reply, err
}

// afterAnswer is how much longer than the work itself an answer may take.
const afterAnswer = 3 * time.Second
