package control

import (
	"net"
	"net/http"
	"testing"
)

// admitted opens n connections of a process and returns those that got in.
func admitted(t *testing.T, c *conns, pid int32, n int) []net.Conn {
	t.Helper()
	var in []net.Conn
	for range n {
		a, b := net.Pipe()
		t.Cleanup(func() { a.Close(); b.Close() })
		if c.admit(a, pid) {
			in = append(in, a)
		}
	}
	return in
}

func TestOneProcessGetsHalf(t *testing.T) {
	c := &conns{max: 8}
	for _, conn := range admitted(t, c, 1, 100) {
		c.track(conn, http.StateActive)
	}
	if n := len(c.open); n != 4 {
		t.Errorf("%d active connections of one process, want 4 of 8", n)
	}
	if n := len(admitted(t, c, 2, 1)); n != 1 {
		t.Error("another process does not get in")
	}
}

func TestIdleFloodPushesOutItself(t *testing.T) {
	c := &conns{max: 8}
	busy := admitted(t, c, 1, 1)[0]
	c.track(busy, http.StateActive)
	flood := admitted(t, c, 1, 100)
	if len(flood) != 100 || len(c.open) != 4 {
		t.Errorf("let in %d of 100, %d open, want all and 4", len(flood), len(c.open))
	}
	if c.open[busy] == nil || c.open[flood[99]] == nil || c.open[flood[0]] != nil {
		t.Error("not the oldest inactive connection was closed")
	}
	if _, err := flood[0].Write([]byte("x")); err == nil {
		t.Error("the oldest connection is still open")
	}
}

func TestManyProcessesShareAll(t *testing.T) {
	c := &conns{max: 8}
	for pid := range int32(20) {
		if n := len(admitted(t, c, pid+1, 1)); n != 1 {
			t.Fatalf("process %d does not get in", pid+1)
		}
	}
	if n := len(c.open); n != 8 {
		t.Errorf("%d open, want 8", n)
	}
	for conn := range c.open {
		c.track(conn, http.StateActive)
	}
	if n := len(admitted(t, c, 99, 1)); n != 0 {
		t.Error("let in with all connections active")
	}
}

func TestClosedConnsLetNobodyIn(t *testing.T) {
	c := &conns{max: 8}
	conn := admitted(t, c, 1, 1)[0]
	c.close(true)
	if n := len(admitted(t, c, 1, 1)); n != 0 {
		t.Error("let in after close")
	}
	c.track(conn, http.StateClosed)
	c.wait()
}
