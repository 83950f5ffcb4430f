package cutover

import (
	"context"
	"time"

	"github.com/gohandover/handover/reuse"
)

// A Newcomer is the generation to bring in. The coordinator calls its methods
// one after the other, in the order they have here.
type Newcomer interface {
	// Bind reserves every address of the service and returns their groups.
	Bind(ctx context.Context) ([]reuse.GroupID, error)

	// Enter tells the newcomer its number, and that nothing speaks against it.
	Enter(generation int)

	// Prepare warms up. It is the last thing before clients could be affected.
	Prepare(ctx context.Context) error

	// Join makes the newcomer a guarded member of every group, see
	// [reuse.Listener], and finds its places.
	Join(ctx context.Context, how map[reuse.GroupID]Joining) error

	// Gate returns when the newcomer has shown that it is healthy, through its
	// own address and the real port.
	Gate(ctx context.Context) error

	// Take lets clients in and moves all new connections to the newcomer, and
	// returns how long the moving took: the kernel operations, all groups. When
	// it fails part of them may have moved.
	Take(ctx context.Context) (time.Duration, error)

	// Watch returns an error when the newcomer's health falls, or ctx's cause.
	Watch(ctx context.Context) error

	// Settle makes the program in force right for the order that the groups
	// have now, and gives up what Join took beyond one socket a group.
	Settle(ctx context.Context) error

	// Yield moves all new connections back to the other members.
	Yield(ctx context.Context) error

	// Leave closes the newcomer's listeners, after emptying their queues if
	// clients were let in.
	Leave(ctx context.Context)
}

// Joining says how to become a member of one group.
type Joining struct {
	// Others is the number of sockets of others in the group.
	Others int

	// Attach is the plan to put in force at once, nil to leave the one that is.
	Attach *reuse.Plan
}

// Ballast is how many sockets to bring beyond the one that works. When one of
// the others closes, the kernel moves the last socket of the group into its
// place; with ballast behind it, the working one stays where the program says,
// whoever closes and whenever. The last of the others needs none: once it has
// closed all sockets are the newcomer's own.
func (j Joining) Ballast() int { return max(0, j.Others-1) }
