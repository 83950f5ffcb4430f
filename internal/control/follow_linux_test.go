package control

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

func TestEventsAreFollowed(t *testing.T) {
	s := startServer(t, &fakeAgent{}, Options{}, nil)
	s.Events().Publish(Event{Type: "cutover", Generation: 2, Message: "m", Attrs: map[string]string{"a": "b"}})
	n := 0
	for ev, err := range client(s).Events(testContext(t)) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; ev.Seq != uint64(n) || ev.Instance != s.Peer().Instance {
			t.Errorf("event %d: %+v", n, ev)
		}
		switch n {
		case 1:
			if ev.Generation != 2 || ev.Type != "cutover" || ev.Message != "m" || ev.Attrs["a"] != "b" || ev.Time.IsZero() {
				t.Errorf("recent event %+v", ev)
			}
			s.Events().Publish(Event{Type: "live"})
		case 2:
			go s.Close()
		}
	}
	if n != 2 {
		t.Errorf("%d events before the end of the agent, want 2", n)
	}
}

func TestLeavingTheLoopFreesThePlace(t *testing.T) {
	s := startServer(t, &fakeAgent{}, Options{}, nil)
	s.Events().Publish(Event{Type: "x"})
	for range client(s).Events(testContext(t)) {
		break
	}
	waitFor(t, "the stream's end on the server", func() bool { return len(s.streams) == 0 })
}

func TestContextEndsTheLoop(t *testing.T) {
	s := startServer(t, &fakeAgent{}, Options{}, nil)
	s.Events().Publish(Event{Type: "x"})
	ctx, cancel := context.WithCancel(testContext(t))
	defer cancel()
	var last error
	for _, err := range client(s).Events(ctx) {
		last = err
		cancel()
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("last error %v, want context.Canceled", last)
	}
}

func TestSlowReaderIsCutOff(t *testing.T) {
	s := startServer(t, &fakeAgent{}, Options{}, func(s *Server) { s.limits.write = 20 * time.Millisecond })
	s.Events().Publish(Event{Type: "first"})
	big := strings.Repeat("x", 32<<10)
	var last error
	read := 0
	for ev, err := range client(s).Events(testContext(t)) {
		if last = err; err != nil {
			break
		}
		if read++; ev.Type == "first" {
			// While this loop does not read, more is published than any buffer holds.
			waitFor(t, "the reader being cut off", func() bool {
				s.Events().Publish(Event{Type: "big", Message: big})
				return len(s.streams) == 0
			})
		}
	}
	if !errors.Is(last, ErrBusy) || !strings.Contains(last.Error(), "faster") {
		t.Errorf("after %d events: %v, want ErrBusy", read, last)
	}
}

func TestDroppedReaderIsToldFromTheEnd(t *testing.T) {
	s := startServer(t, &fakeAgent{}, Options{}, nil)
	s.Events().Publish(Event{Type: "x"})
	var last error
	for _, err := range client(s).Events(testContext(t)) {
		if last = err; err == nil {
			s.events.mu.Lock()
			for sub := range s.events.subs {
				s.events.dropLocked(sub)
			}
			s.events.mu.Unlock()
		}
	}
	if !errors.Is(last, ErrBusy) {
		t.Errorf("last error %v, want ErrBusy", last)
	}
}

func TestEventsOfABadPeer(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\n\r\n"
	for _, c := range []struct {
		name, answer string
		want         error
	}{
		{"endless line", head + strings.Repeat("x", 2*maxEvent), ErrProtocol},
		{"not JSON", head + "hello\n", ErrProtocol},
		{"broken off", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}", ErrBusy},
		{"no such verb", jsonAnswer(404, `{"error":"no","code":"unsupported"}`), ErrUnsupported},
	} {
		var last error
		for _, err := range NewClient(answerWith(t, respond(c.answer)), ClientOptions{}).Events(testContext(t)) {
			last = err
		}
		if !errors.Is(last, c.want) {
			t.Errorf("%s: %v, want %v", c.name, last, c.want)
		}
	}
}

func TestTooManyReadersOfEvents(t *testing.T) {
	s := startServer(t, &fakeAgent{}, Options{}, nil)
	for range s.limits.streams {
		io.WriteString(dialRaw(t, s.Peer().Name), "GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	waitFor(t, "all streams taken", func() bool { return len(s.streams) == s.limits.streams })
	var last error
	for _, err := range client(s).Events(testContext(t)) {
		last = err
	}
	if !errors.Is(last, ErrBusy) {
		t.Errorf("one reader too many: %v", last)
	}
}
