package control

import (
	"net"
	"net/http"
	"sync"
)

// conns holds the connections of a server and keeps them few. No process gets
// more than half of them, and where there is no room the oldest connection
// that has not sent a whole request makes place for the next: a flood of idle
// or half-open connections pushes out itself.
type conns struct {
	mu     sync.Mutex
	max    int
	closed bool
	seq    uint64
	open   map[net.Conn]*entry
	wg     sync.WaitGroup // one for each entry
}

// entry is one connection. It is active from the end of a request's header to
// the end of the answer.
type entry struct {
	conn   net.Conn
	pid    int32
	seq    uint64
	active bool
}

// admit makes conn one of the open ones, or returns false: no room, or closed.
func (c *conns) admit(conn net.Conn, pid int32) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || !c.makeRoomLocked(pid) {
		return false
	}
	if c.open == nil {
		c.open = make(map[net.Conn]*entry)
	}
	c.seq++
	c.open[conn] = &entry{conn: conn, pid: pid, seq: c.seq}
	c.wg.Add(1)
	return true
}

// makeRoomLocked reports whether one more connection of pid fits, after
// closing one if need be.
func (c *conns) makeRoomLocked(pid int32) bool {
	same := 0
	for _, e := range c.open {
		if e.pid == pid {
			same++
		}
	}
	switch {
	case same >= (c.max+1)/2:
		return c.evictLocked(func(e *entry) bool { return e.pid == pid })
	case len(c.open) >= c.max:
		return c.evictLocked(func(*entry) bool { return true })
	}
	return true
}

// evictLocked closes the oldest inactive connection among those asked for. Its
// entry goes at once: its goroutine may take a moment to notice.
func (c *conns) evictLocked(among func(*entry) bool) bool {
	var oldest *entry
	for _, e := range c.open {
		if !e.active && among(e) && (oldest == nil || e.seq < oldest.seq) {
			oldest = e
		}
	}
	if oldest == nil {
		return false
	}
	oldest.conn.Close()
	delete(c.open, oldest.conn)
	return true
}

// track is the ConnState hook of the HTTP server.
func (c *conns) track(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.open[conn]
	switch state {
	case http.StateClosed, http.StateHijacked:
		delete(c.open, conn)
		c.wg.Done()
	case http.StateActive:
		if e != nil {
			e.active = true
		}
	case http.StateIdle:
		if e != nil {
			e.active = false
		}
		if c.closed {
			conn.Close()
		}
	}
}

// close lets nobody in any more and closes the connections, or only those
// that wait for no answer.
func (c *conns) close(onlyInactive bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, e := range c.open {
		if !onlyInactive || !e.active {
			e.conn.Close()
		}
	}
}

// wait returns when the goroutines of all connections have ended.
func (c *conns) wait() { c.wg.Wait() }
