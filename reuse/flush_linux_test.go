package reuse

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// deferAccept makes the kernel keep a handshake half open until the client has
// sent a byte: a half-open request on demand.
var deferAccept = Config{Control: func(_, _ string, c syscall.RawConn) error {
	return control(c, func(fd int) error {
		return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, 30)
	})
}}

func TestFlushWaitsForHalfOpenHandshakes(t *testing.T) {
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			s, err := deferAccept.Bind(t.Context(), f.network, f.address)
			if err != nil {
				t.Fatal(err)
			}
			old, err := s.Listen(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer old.Close()
			mustAttach(t, old, Only(0))
			if err := old.Admit(); err != nil {
				t.Fatal(err)
			}
			client := dialGroup(t, old)
			defer client.Close()
			awaitHalfOpen(t, old)

			fresh := join(t, old, Only(0))
			mustAttach(t, fresh, Only(1))
			flushed := make(chan error, 1)
			go func() {
				_, err := Flush(t.Context(), old)
				flushed <- err
			}()
			select {
			case err := <-flushed:
				t.Fatalf("the flush ended, %v, while a handshake was half open", err)
			case <-time.After(20 * flushLook): // long enough for one that doesn't wait
			}
			io.WriteString(client, "hello")
			c, err := old.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := <-flushed; err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestFlushReportsWhatIsLeftAtItsDeadline(t *testing.T) {
	l := mustServe(t, "tcp", "127.0.0.1:0")
	const clients = 5
	for range clients { // nobody accepts: one is in the pump's hand, the others wait
		defer dialGroup(t, l).Close()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	f, err := Flush(ctx, l)
	if !errors.Is(err, context.DeadlineExceeded) || f.Left() != clients-1 {
		t.Fatalf("flush: %+v, %v; want %d left", f, err, clients-1)
	}
}

func TestFlushOfAForeignQueue(t *testing.T) {
	l := mustServe(t, "tcp", "127.0.0.1:0")
	q := ForeignQueue{ID: l.Group(), Cookies: l.Cookies()}
	for range 3 {
		defer dialGroup(t, l).Close()
	}
	if n, limit, err := q.Queue(); n != 2 || limit == 0 || err != nil {
		t.Fatalf("queue: %d of %d, %v", n, limit, err)
	}
	discard(l)
	if _, err := Flush(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	l.Close()
	if n, _, err := q.Queue(); n != 0 || err != nil {
		t.Fatalf("queue of a closed socket: %d, %v", n, err)
	}
}

func TestFlushNeedsTwoLooksThatFindNothing(t *testing.T) {
	a, b := handshake{}, handshake{}
	a.remote, b.remote = mustAddr("127.0.0.1:1"), mustAddr("127.0.0.1:2")
	set := func(hs ...handshake) map[handshake]bool {
		m := map[handshake]bool{}
		for _, h := range hs {
			m[h] = true
		}
		return m
	}
	type look struct {
		queued int
		open   map[handshake]bool
		done   bool
	}
	for name, looks := range map[string][]look{
		"nothing at all":                   {{0, set(), false}, {0, set(), false}, {0, set(), true}},
		"a queue that empties":             {{3, set(), false}, {1, set(), false}, {0, set(), false}, {0, set(), true}},
		"a queue that fills once more":     {{0, set(), false}, {0, set(), false}, {1, set(), false}, {0, set(), false}, {0, set(), true}},
		"a handshake from before":          {{0, set(a), false}, {0, set(a), false}, {0, set(a), false}, {0, set(), false}, {0, set(), true}},
		"one that began behind the attach": {{0, set(), false}, {0, set(b), false}, {0, set(b), false}, {0, set(), false}, {0, set(), true}},
		"one that is the successor's":      {{0, set(), false}, {0, set(), false}, {0, set(a), true}},
	} {
		t.Run(name, func(t *testing.T) {
			var f flush
			for i, l := range looks {
				f.queued = l.queued
				f.note(l.open)
				if done := f.empty == 2; done != l.done {
					t.Fatalf("look %d: done is %v", i+1, done)
				}
			}
		})
	}
}

func dialGroup(t *testing.T, l *Listener) net.Conn {
	t.Helper()
	c, err := dialFrom(t.Context(), l.Group().Addr, 0, func(int, bool) error { return nil }, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func awaitHalfOpen(t *testing.T, l *Listener) {
	t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for {
		open, err := halfOpen(t.Context(), l.Group())
		if err != nil {
			t.Fatal(err)
		}
		if len(open) == 1 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("half-open handshakes: %v", open)
		}
	}
}
