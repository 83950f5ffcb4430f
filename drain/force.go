package drain

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// maxAddrs bounds the addresses in one log record.
const maxAddrs = 5

// cut ends all that is left, and returns how much that was.
func (r *run) cut() Counts {
	d := r.d
	n, left := d.leftovers()
	d.logForced(n, left)
	d.mu.Lock()
	cause := d.cause
	d.mu.Unlock()
	if cause != nil {
		cause = fmt.Errorf("%w: %w", ErrForced, cause)
	} else {
		cause = ErrForced
	}
	gag(left)
	d.cancelAll(cause) // before the connections are closed, which would hide the cause

	var closing sync.WaitGroup
	for _, conns := range left {
		for _, nc := range conns {
			// Closing a TLS connection can wait for its peer.
			closing.Go(func() { nc.Close() })
		}
	}
	// What honours its context or its connection ends now, before the clean-ups
	// take away what it works with. What does not is not waited for.
	settled, cancel := context.WithTimeout(context.Background(), settleTime)
	defer cancel()
	d.awaitStragglers(settled, &closing)
	return n
}

func (d *Drain) awaitStragglers(ctx context.Context, closing *sync.WaitGroup) {
	closed := make(chan struct{})
	go func() {
		closing.Wait()
		close(closed)
	}()
	select {
	case <-closed:
	case <-ctx.Done():
		return
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for d.requests.Load() > 0 || d.tasks.Load() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// leftovers returns what is in progress, with the connections by kind.
func (d *Drain) leftovers() (Counts, map[string][]net.Conn) {
	left := make(map[string][]net.Conn)
	var n Counts
	d.conns.all(func(c *conn) {
		s := kindOf(c)
		switch s {
		case http.StateNew:
			n.New++
		case http.StateIdle:
			n.Idle++
		default:
			s = http.StateActive
			n.Active++
		}
		left[s.String()] = append(left[s.String()], c.nc)
	})
	left["hijacked"] = d.taken.live()
	left["other"] = d.others.all()
	n.Hijacked = len(left["hijacked"])
	n.Other = len(left["other"])
	n.Requests = int(d.requests.Load())
	n.Tasks = int(d.tasks.Load())
	return n, left
}

func (d *Drain) logForced(n Counts, left map[string][]net.Conn) {
	for _, k := range n.kinds() {
		if k.n == 0 {
			continue
		}
		conns := left[k.name]
		var addrs []string
		for _, nc := range conns[:min(len(conns), maxAddrs)] {
			addrs = append(addrs, fmt.Sprint(nc.RemoteAddr()))
		}
		slices.Sort(addrs)
		d.opts.Logger.Warn("drain forced", "kind", k.name, "count", k.n, "remote", addrs)
	}
}

// gag lets nothing more be sent to HTTP clients: net/http takes a handler that
// returns because its context has ended for one that has answered, and would send
// 200 OK, or the last chunk of half an answer.
func gag(left map[string][]net.Conn) {
	past := time.Unix(1, 0)
	for _, s := range []http.ConnState{http.StateNew, http.StateActive, http.StateIdle} {
		for _, nc := range left[s.String()] {
			nc.SetWriteDeadline(past) // fails on a closed connection only
		}
	}
}
