package reuse

import (
	"context"
	"fmt"
	"net"
	"slices"
)

// Take lets clients in and moves all new connections of the group to this
// listener, with one system call: to the lowest of its members in the order, and not
// to the ballast that it may have (see [Listener.Grow]). Connections whose SYN another
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
	return Only(slices.Min(indices)), nil
}

// Hold puts the program of [Listener.Take] in force, for a listener that has its
// clients already: so that nobody who joins the group from now on gets one.
func (l *Listener) Hold(ctx context.Context) error {
	g, err := Look(ctx, l.id)
	if err != nil {
		return err
	}
	if len(g.Members) == 1 {
		return l.Attach(Only(0)) // needs no mark to be found, as Index would
	}
	p, err := l.OwnPlan(ctx)
	if err != nil {
		return err
	}
	if err := context.Cause(ctx); err != nil {
		return err // late: the order may be another by now
	}
	return l.Attach(p)
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

// Settle puts the program in force that is right for the order that the group
// has now, and closes what the listener has beyond the sockets that it needs, after
// emptying their queues. Call it when others have closed their sockets.
//
// It needs one, and as many as the index of that one while there are others:
// each may still close and move the group's last socket, so there have to be enough
// of ours behind those that could be moved.
func (l *Listener) Settle(ctx context.Context) error {
	indices, err := l.Index(ctx)
	if err != nil {
		return err
	}
	members := l.snapshot()
	order := make([]int, len(members)) // members by their place in the group
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return indices[a] - indices[b] })
	lowest := indices[order[0]]
	if err := l.Attach(Only(lowest)); err != nil {
		return err
	}
	needed := min(len(order), max(1, lowest))
	// From the highest down, so that no close moves one that stays.
	for _, i := range slices.Backward(order[needed:]) {
		if err := l.drop(ctx, members[i]); err != nil {
			return err
		}
	}
	_, err = l.Index(ctx)
	return err
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
