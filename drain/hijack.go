package drain

import (
	"net"
	"sync"
	"syscall"
	"weak"
)

// hijacked is the set of connections taken over from HTTP servers. Their owners
// tell nobody when they close them, so the set asks: it drops what is closed when
// it has doubled, and keeps nothing alive that it can refer to weakly.
type hijacked struct {
	mu     sync.Mutex
	refs   []func() net.Conn // nil once the connection was collected
	tidyAt int
}

const minTidy = 64

// add puts in the connection that nc is a layer on. One that cannot say whether
// it is closed is left out: it counts as long as its handler runs.
func (h *hijacked) add(nc net.Conn) {
	inner := innermost(nc)
	if _, ok := inner.(syscall.Conn); !ok {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refs = append(h.refs, refer(inner))
	if len(h.refs) >= max(h.tidyAt, minTidy) {
		h.liveLocked()
		h.tidyAt = 2 * len(h.refs)
	}
}

// live returns the connections that are not closed.
func (h *hijacked) live() []net.Conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.liveLocked()
}

func (h *hijacked) liveLocked() []net.Conn {
	var live []net.Conn
	kept := h.refs[:0]
	for _, ref := range h.refs {
		if nc := ref(); nc != nil && !isClosed(nc) {
			live = append(live, nc)
			kept = append(kept, ref)
		}
	}
	clear(h.refs[len(kept):])
	h.refs = kept
	return live
}

func refer(nc net.Conn) func() net.Conn {
	switch c := nc.(type) {
	case *net.TCPConn:
		return referWeakly(c)
	case *net.UnixConn:
		return referWeakly(c)
	}
	return func() net.Conn { return nc }
}

func referWeakly[T any, P interface {
	*T
	net.Conn
}](p P) func() net.Conn {
	w := weak.Make((*T)(p))
	return func() net.Conn {
		if v := w.Value(); v != nil {
			return P(v)
		}
		return nil
	}
}

// isClosed reports whether this process has closed nc.
func isClosed(nc net.Conn) bool {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return true
	}
	return raw.Control(func(uintptr) {}) != nil
}
