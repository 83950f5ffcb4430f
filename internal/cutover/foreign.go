package cutover

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gohandover/handover/internal/control"
	"github.com/gohandover/handover/reuse"
)

// foreign is a predecessor that can't be talked to: built without this library,
// or deaf on its control socket. It is steered from outside, its queues are
// watched through sock_diag, and it is asked to leave by SIGTERM.
type foreign struct {
	holders []reuse.Holder
	deaf    bool          // it has a control socket, and doesn't answer
	timeout time.Duration // for its connections to end
	env     env
}

func (f *foreign) name() string {
	var pids []string
	for _, p := range f.processes() {
		pids = append(pids, fmt.Sprintf("pid %d (%s)", p.PID, p.Name))
	}
	who := strings.Join(pids, ", ")
	if f.deaf {
		return who + ", which doesn't answer on its control socket"
	}
	return who + ", which has no control socket"
}

func (f *foreign) processes() []reuse.Process {
	var out []reuse.Process
	for _, h := range f.holders {
		for _, p := range h.Processes {
			if !slices.Contains(out, p) {
				out = append(out, p)
			}
		}
	}
	return out
}

func (f *foreign) cookies() []uint64 {
	var out []uint64
	for _, h := range f.holders {
		out = append(out, h.Cookie)
	}
	return out
}

// hold can't be asked of it: the newcomer attaches the program that leaves the
// group to those who were there, when it joins and when it yields.
func (f *foreign) hold(context.Context) error { return errors.ErrUnsupported }

func (f *foreign) park(context.Context, control.ParkRequest) error { return nil }

func (f *foreign) retire(ctx context.Context, req control.DrainRequest) (control.DrainReply, error) {
	began := time.Now()
	reply := f.flush(ctx, req.FlushTimeout)
	reply.FlushDuration = time.Since(began)
	f.awaitConnections(ctx)
	if ctx.Err() != nil {
		return reply, context.Cause(ctx) // it may be gone back to
	}
	return reply, f.terminate()
}

// terminate asks those to leave who still have the sockets, as pids are used
// again.
func (f *foreign) terminate() error {
	left := &foreign{holders: reuse.Holders(f.members())}
	var errs []error
	for _, p := range leaders(left.processes(), f.env.parent) {
		if err := f.env.terminate(p.PID); err != nil {
			errs = append(errs, fmt.Errorf("SIGTERM to %d (%s): %w", p.PID, p.Name, err))
		}
	}
	return errors.Join(errs...)
}

func (f *foreign) members() []reuse.Member {
	var out []reuse.Member
	for id, cookies := range f.byGroup() {
		g, err := reuse.Look(context.Background(), id)
		if err != nil {
			continue
		}
		for _, c := range cookies {
			if m, ok := g.Find(c); ok {
				out = append(out, m)
			}
		}
	}
	return out
}

// ancestor returns one of the processes that started this one, directly or not.
func (f *foreign) ancestor() (reuse.Process, bool) {
	for pid := f.env.parent(os.Getpid()); pid > 1; pid = f.env.parent(pid) {
		for _, p := range f.processes() {
			if p.PID == pid {
				return p, true
			}
		}
	}
	return reuse.Process{}, false
}

// flush waits for the queues of all sockets at once.
func (f *foreign) flush(ctx context.Context, timeout time.Duration) control.DrainReply {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var reply control.DrainReply
	for id, cookies := range f.byGroup() {
		flushed, err := reuse.Flush(ctx, reuse.ForeignQueue{ID: id, Cookies: cookies})
		if err != nil {
			reply.TimedOut = true
			reply.Left += flushed.Left()
		}
	}
	return reply
}

// patience implements predecessor. A deaf agent drains by itself when the
// signal reaches it.
func (f *foreign) patience() time.Duration {
	if f.deaf {
		return 0
	}
	return f.timeout
}

// awaitConnections gives the connections that the processes have the time to
// end: many programs cut them at SIGTERM. Clients that keep theirs alive make it
// last as long as it may.
func (f *foreign) awaitConnections(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, f.patience())
	defer cancel()
	tick := time.NewTicker(foreignLook)
	defer tick.Stop()
	for f.connections(ctx) > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// foreignLook is the time between two looks at the connections of others.
const foreignLook = 50 * time.Millisecond

func (f *foreign) connections(ctx context.Context) int {
	sum := 0
	for id := range f.byGroup() {
		n, err := reuse.Connections(ctx, id, f.processes())
		if err != nil {
			return 0 // it can't be seen, so there is nothing to wait for
		}
		sum += n
	}
	return sum
}

func (f *foreign) byGroup() map[reuse.GroupID][]uint64 {
	out := map[reuse.GroupID][]uint64{}
	for _, h := range f.holders {
		out[h.Group] = append(out[h.Group], h.Cookie)
	}
	return out
}

// leaders returns the processes whose parent is not one of them: a server of
// several processes is stopped by its first.
func leaders(all []reuse.Process, parent func(pid int) int) []reuse.Process {
	return slices.DeleteFunc(slices.Clone(all), func(p reuse.Process) bool {
		up := parent(p.PID)
		return slices.ContainsFunc(all, func(o reuse.Process) bool { return o.PID == up })
	})
}

// env is what the coordinator does to processes.
type env struct {
	parent    func(pid int) int
	terminate func(pid int) error
}

func realEnv() env {
	return env{parent: parentOf, terminate: terminate}
}

func parentOf(pid int) int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// pid (comm) state ppid: comm may contain anything, so count from its end.
	_, rest, _ := strings.Cut(string(b[strings.LastIndexByte(string(b), ')')+1:]), " ")
	var state string
	var ppid int
	fmt.Sscanf(rest, "%s %d", &state, &ppid)
	return ppid
}
