package reuse

import (
	"context"
	"fmt"
	"net"
	"slices"
)

// Take lets clients in and moves all new connections of the group to this
// listener, with one system call: to the first of its members, and not to the
// ballast that it may have (see [Listener.Grow]). Connections whose SYN another
// processor was handling at that moment may still go where they went before.
func (l *Listener) Take(ctx context.Context) error {
	p, err := l.OwnPlan(ctx)
	if err != nil {
		return err
	}
	if err := l.Admit(); err != nil {
		return err
	}
	return l.Attach(p)
}

// OwnPlan returns the plan that [Listener.Take] attaches, for a caller that
// moves several groups and wants the attaching alone to be between them.
func (l *Listener) OwnPlan(ctx context.Context) (Plan, error) {
	indices, err := l.Index(ctx)
	if err != nil {
		return Plan{}, err
	}
	return Only(indices[0]), nil
}

// Hold puts a program in force that names only this listener's members, all of
// them, so that nobody who joins the group from now on gets a client.
func (l *Listener) Hold(ctx context.Context) error {
	g, err := Look(ctx, l.id)
	if err != nil {
		return err
	}
	if len(g.Members) == 1 {
		return l.Attach(Only(0)) // needs no mark to be found, as Index would
	}
	indices, err := l.Index(ctx)
	if err != nil {
		return err
	}
	return l.Attach(Only(indices...))
}

// Yield moves all new connections to the other members of the group, if there
// are any.
func (l *Listener) Yield(ctx context.Context) error {
	indices, err := l.Index(ctx)
	if err != nil {
		return err
	}
	g, err := Look(ctx, l.id)
	if err != nil {
		return err
	}
	var others []int
	for i := range g.Members {
		if !slices.Contains(indices, i) {
			others = append(others, i)
		}
	}
	if len(others) == 0 {
		return nil
	}
	return l.Attach(Only(others...))
}

// Settle brings the listener back to one socket, at the lowest of its indices,
// and puts the program in force that names it. Queues are emptied before their
// sockets close. Call it when the order of the group may have changed: after
// others have closed their sockets.
func (l *Listener) Settle(ctx context.Context) error {
	indices, err := l.Index(ctx)
	if err != nil {
		return err
	}
	members := l.snapshot()
	order := make([]int, len(members))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return indices[a] - indices[b] })
	if err := l.Attach(Only(indices[order[0]])); err != nil {
		return err
	}
	// From the highest down, so that no close moves the one that stays.
	for _, i := range slices.Backward(order[1:]) {
		if err := l.drop(ctx, members[i]); err != nil {
			return err
		}
	}
	l.setSeen(indices[order[0]])
	return nil
}

// drop empties the queue of one member that gets no connection any more, and
// closes it.
func (l *Listener) drop(ctx context.Context, m *member) error {
	if _, err := Flush(ctx, memberQueue{l.id, m}); err != nil {
		return fmt.Errorf("reuse: %s: a socket beyond the first stays open: %w", l.id, err)
	}
	l.mu.Lock()
	l.members = slices.DeleteFunc(l.members, func(o *member) bool { return o == m })
	l.mu.Unlock()
	return m.l.Close()
}

// memberQueue is the queue of one of several members of ours.
type memberQueue struct {
	id GroupID
	m  *member
}

func (q memberQueue) Group() GroupID { return q.id }

func (q memberQueue) Queue() (length, limit int, err error) { return q.m.queue() }

var (
	_ Queue        = (*Listener)(nil)
	_ Queue        = memberQueue{}
	_ Queue        = ForeignQueue{}
	_ net.Listener = (*Listener)(nil)
)
