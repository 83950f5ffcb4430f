package drain

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
)

// others is the set of open connections of Listeners.
type others struct {
	mu sync.Mutex
	m  map[*membership]net.Conn
}

// membership is one connection's place in others; it ends once.
type membership struct {
	set  *others
	left func() // called when it ends
}

// add returns nc in a wrapper that leaves the set when it is closed, and then
// calls left.
func (o *others) add(nc net.Conn, left func()) net.Conn {
	m := &membership{set: o, left: left}
	o.mu.Lock()
	if o.m == nil {
		o.m = make(map[*membership]net.Conn)
	}
	o.m[m] = nc
	o.mu.Unlock()
	switch c := nc.(type) {
	case *net.TCPConn:
		return &tcpConn{c, m}
	case *net.UnixConn:
		return &unixConn{c, m}
	}
	return &otherConn{nc, m}
}

func (m *membership) leave() {
	m.set.mu.Lock()
	_, in := m.set.m[m]
	delete(m.set.m, m)
	m.set.mu.Unlock()
	if in {
		m.left()
	}
}

func (o *others) len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.m)
}

func (o *others) all() []net.Conn {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := make([]net.Conn, 0, len(o.m))
	for _, nc := range o.m {
		all = append(all, nc)
	}
	return all
}

// adopt ends the membership of the connection that nc is a layer on: from here on
// an HTTP server counts it.
func adopt(nc net.Conn) {
	for nc != nil {
		if a, ok := nc.(interface{ adopted() }); ok {
			a.adopted()
			return
		}
		w, ok := nc.(interface{ NetConn() net.Conn })
		if !ok {
			return
		}
		nc = w.NetConn()
	}
}

type tcpConn struct {
	*net.TCPConn
	m *membership
}

func (c *tcpConn) NetConn() net.Conn { return c.TCPConn }
func (c *tcpConn) adopted()          { c.m.leave() }
func (c *tcpConn) Close() error {
	err := c.TCPConn.Close()
	c.m.leave()
	return err
}

type unixConn struct {
	*net.UnixConn
	m *membership
}

func (c *unixConn) NetConn() net.Conn { return c.UnixConn }
func (c *unixConn) adopted()          { c.m.leave() }
func (c *unixConn) Close() error {
	err := c.UnixConn.Close()
	c.m.leave()
	return err
}

type otherConn struct {
	net.Conn
	m *membership
}

func (c *otherConn) NetConn() net.Conn { return c.Conn }
func (c *otherConn) adopted()          { c.m.leave() }
func (c *otherConn) Close() error {
	err := c.Conn.Close()
	c.m.leave()
	return err
}

// SyscallConn implements [syscall.Conn] where the connection inside does.
func (c *otherConn) SyscallConn() (syscall.RawConn, error) {
	sc, ok := c.Conn.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("drain: raw access to a %T: %w", c.Conn, errors.ErrUnsupported)
	}
	return sc.SyscallConn()
}
