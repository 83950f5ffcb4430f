package main

import (
	"testing"

	"github.com/coder/websocket"
	"github.com/gohandover/handover/docs/examples/internal/proctest"
)

const connections = 20

// TestGoingAway replaces the server under open connections, one of which waits
// for an answer.
func TestGoingAway(t *testing.T) {
	t.Parallel()
	addr := proctest.Address(t)
	v1 := proctest.StartActive(t, proctest.Build(t), "-addr", addr)
	next := proctest.Build(t, "main.version=v2")

	var quiet []*websocket.Conn
	for range connections {
		c := connect(t, addr)
		exchange(t, c, "hello", "v1 hello")
		quiet = append(quiet, c)
	}
	waiting := connect(t, addr)
	send(t, waiting, "3s")

	proctest.StartActive(t, next, "-addr", addr)
	for _, c := range quiet {
		expectGoingAway(t, c)
	}
	if !v1.Running() {
		t.Error("v1 has exited before it had answered")
	}
	expect(t, waiting, "v1 3s")
	expectGoingAway(t, waiting)
	v1.ExitsWith(0)

	exchange(t, connect(t, addr), "hello", "v2 hello")
}

func connect(t *testing.T, addr string) *websocket.Conn {
	t.Helper()
	c, _, err := websocket.Dial(t.Context(), "ws://"+addr+"/chat", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow() })
	return c
}

func exchange(t *testing.T, c *websocket.Conn, message, want string) {
	t.Helper()
	send(t, c, message)
	expect(t, c, want)
}

func send(t *testing.T, c *websocket.Conn, message string) {
	t.Helper()
	if err := c.Write(t.Context(), websocket.MessageText, []byte(message)); err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, c *websocket.Conn, want string) {
	t.Helper()
	if _, got, err := c.Read(t.Context()); err != nil || string(got) != want {
		t.Fatalf("got %q, %v, want %q", got, err, want)
	}
}

func expectGoingAway(t *testing.T, c *websocket.Conn) {
	t.Helper()
	_, message, err := c.Read(t.Context())
	if got := websocket.CloseStatus(err); got != websocket.StatusGoingAway {
		t.Errorf("got %q, %v, want close code %d", message, err, websocket.StatusGoingAway)
	}
}
