package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestStatusCrossesTheSocket(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	want := Status{
		Version: "1.2.3", Generation: 4, PID: 77, State: StateDraining, Since: at, Started: at, Error: "e",
		Members:  []Member{{Network: "tcp6", Address: "[::]:8080", Cookie: 1 << 63, Inode: 9}},
		InFlight: 3, Connections: map[string]int{"idle": 2}, Coordinator: "c", Flushed: 5, DrainDeadline: &at,
	}
	s := startServer(t, &fakeAgent{status: want}, Options{}, nil)
	got, err := client(s).Status(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	want.Protocol, want.Service, want.Instance, want.UID = Protocol, s.Peer().Service, s.Peer().Instance, os.Geteuid()
	want.Verbs = []string{VerbStatus, VerbDrain, VerbEvents, VerbHold, VerbPark, VerbResume, VerbStop}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	if !got.Supports(VerbDrain) || got.Supports("dance") {
		t.Errorf("verbs: %v", got.Verbs)
	}
}

func TestCallsCrossTheSocket(t *testing.T) {
	at := time.Unix(1700000000, 42).UTC()
	var parked ParkRequest
	var drained DrainRequest
	s := startServer(t, &fakeAgent{
		park: func(_ context.Context, req ParkRequest) error { parked = req; return nil },
		drain: func(_ context.Context, req DrainRequest) (DrainReply, error) {
			drained = req
			return DrainReply{3, 4, true, 5}, nil
		},
	}, Options{}, nil)
	c, ctx := client(s), testContext(t)
	if err := c.Hold(ctx); err != nil {
		t.Errorf("Hold: %v", err)
	}
	park := ParkRequest{Coordinator: "abc", CutoverAt: at, Bake: time.Minute}
	if err := c.Park(ctx, park); err != nil || parked != park {
		t.Errorf("Park: %v, the agent saw %+v", err, parked)
	}
	drain := DrainRequest{Coordinator: "abc", FlushTimeout: 1, DrainTimeout: 2, CutoverAt: at}
	if reply, err := c.Drain(ctx, drain); err != nil || reply != (DrainReply{3, 4, true, 5}) || drained != drain {
		t.Errorf("Drain = %+v, %v, the agent saw %+v", reply, err, drained)
	}
}

func TestErrorsCrossTheSocket(t *testing.T) {
	s := startServer(t, &fakeAgent{
		hold: func(context.Context) error { return errors.New("no attach") },
		park: func(context.Context, ParkRequest) error { return fmt.Errorf("park: %w", errors.ErrUnsupported) },
	}, Options{}, nil)
	c, ctx := client(s), testContext(t)
	if err := c.Resume(ctx); !errors.Is(err, ErrConflict) || !strings.Contains(err.Error(), "not parked") {
		t.Errorf("conflict: %v", err)
	}
	if err := c.Park(ctx, ParkRequest{}); !errors.Is(err, ErrUnsupported) || !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("unsupported: %v", err)
	}
	err := c.Hold(ctx)
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != CodeFailed || !strings.Contains(err.Error(), "no attach") {
		t.Errorf("failure: %v", err)
	}
	err = c.Stop(ctx)
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != "odd_code" || e.Hint != "ask again" || !strings.Contains(err.Error(), "(ask again)") {
		t.Errorf("an agent's own Error: %v", err)
	}
	if _, err := c.Get(ctx, "dance"); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "protocol version 1") {
		t.Errorf("unknown verb: %v", err)
	}
}

func TestExtraVerbs(t *testing.T) {
	text := func(s string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, s) })
	}
	s := startServer(t, &fakeAgent{}, Options{Extra: map[string]http.Handler{"metrics": text("up 1\n"), VerbStatus: text("mine")}}, nil)
	got, err := client(s).Get(testContext(t), "metrics")
	if err != nil || string(got) != "up 1\n" {
		t.Errorf("Get = %q, %v", got, err)
	}
	st, err := client(s).Status(testContext(t))
	if err != nil || !st.Supports("metrics") {
		t.Errorf("Status = %+v, %v", st, err)
	}
}

func TestRawRequests(t *testing.T) {
	const post = "POST /v1/drain HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
	body := func(s string) string { return fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", post, len(s), s) }
	s := startServer(t, &fakeAgent{}, Options{}, nil)
	for _, c := range []struct{ name, send, status, says string }{
		{"empty body", body(""), "200", `"flushed":0`},
		{"unknown fields", body(`{"coordinator":"a","moon_phase":{"x":[1]}}`), "200", `"flushed":0`},
		{"wrong type", body(`{"coordinator":7}`), "400", `"code":"bad_request"`},
		{"array", body(`[]`), "400", "not a JSON object"},
		{"two values", body(`{} {}`), "400", `"code":"bad_request"`},
		{"not JSON", body(`{`), "400", `"code":"bad_request"`},
		{"64 KiB", body("{" + strings.Repeat(" ", maxBody-2) + "}"), "200", `"flushed":0`},
		{"more than 64 KiB", body("{" + strings.Repeat(" ", maxBody-1) + "}"), "413", `"code":"too_large"`},
		{"wrong method", "GET /v1/drain HTTP/1.0\r\n\r\n", "405", "asked with POST"},
		{"unknown verb", "GET /v1/dance HTTP/1.0\r\n\r\n", "404", `"code":"unsupported"`},
		{"another version", "GET /v2/status HTTP/1.0\r\n\r\n", "404", `"code":"unsupported"`},
		{"get with a body", "GET /v1/status HTTP/1.0\r\nContent-Length: 2\r\n\r\n{}", "400", "takes no body"},
		{"long header", "GET /v1/status HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", maxHeader) + "\r\n\r\n", "431", "Header"},
		{"garbage", "\x00\xff\x16\x03\x01 hello\r\n\r\n", "400", "Bad Request"},
	} {
		conn := dialRaw(t, s.Peer().Name)
		io.WriteString(conn, c.send)
		got, _ := io.ReadAll(conn)
		if !strings.HasPrefix(string(got), "HTTP/1.") || !strings.HasPrefix(string(got[8:]), " "+c.status) || !strings.Contains(string(got), c.says) {
			t.Errorf("%s: answer %.300q, want %s with %q", c.name, got, c.status, c.says)
		}
	}
}

// Each of these keeps the server waiting, which must end.
func TestHalfRequestsAreCutOff(t *testing.T) {
	s := startServer(t, &fakeAgent{}, Options{}, func(s *Server) {
		s.limits.header, s.limits.body, s.limits.idle = 50*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond
	})
	for name, send := range map[string]string{
		"nothing":         "",
		"half a header":   "GET /v1/status HTTP/1.1\r\nHo",
		"half a body":     "POST /v1/drain HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
		"half a chunk":    "POST /v1/drain HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n{",
		"no body of GET":  "GET /v1/status HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n",
		"unknown, a body": "POST /v1/dance HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n",
		"idle afterwards": "GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		conn := dialRaw(t, s.Peer().Name)
		io.WriteString(conn, send)
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the connection stays open", name)
		}
	}
}

func TestCallOutlivesTheReadLimits(t *testing.T) {
	begun, end := make(chan struct{}), make(chan struct{})
	s := startServer(t, &fakeAgent{drain: func(ctx context.Context, _ DrainRequest) (DrainReply, error) {
		close(begun)
		select {
		case <-end:
			return DrainReply{Flushed: 1}, nil
		case <-ctx.Done():
			return DrainReply{}, ctx.Err()
		}
	}}, Options{}, func(s *Server) {
		s.limits.header, s.limits.body, s.limits.idle = 30*time.Millisecond, 30*time.Millisecond, 30*time.Millisecond
	})
	go func() {
		<-begun
		time.AfterFunc(150*time.Millisecond, func() { close(end) })
	}()
	if reply, err := client(s).Drain(testContext(t), DrainRequest{}); err != nil || reply.Flushed != 1 {
		t.Errorf("Drain = %+v, %v", reply, err)
	}
}

func TestAgentSeesThatTheCoordinatorDied(t *testing.T) {
	begun, ended := make(chan struct{}), make(chan error, 1)
	s := startServer(t, &fakeAgent{drain: func(ctx context.Context, _ DrainRequest) (DrainReply, error) {
		close(begun)
		<-ctx.Done()
		ended <- ctx.Err()
		return DrainReply{}, ctx.Err()
	}}, Options{}, nil)
	ctx, cancel := context.WithCancelCause(testContext(t))
	cause := errors.New("killed")
	go func() {
		<-begun
		cancel(cause)
	}()
	if _, err := client(s).Drain(ctx, DrainRequest{}); !errors.Is(err, cause) {
		t.Errorf("Drain: %v, want the cause", err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the agent's context ended with %v", err)
	}
}

func TestCloseEndsCallsAndSendsTheirAnswers(t *testing.T) {
	begun := make(chan struct{})
	s := startServer(t, &fakeAgent{
		drain: func(ctx context.Context, _ DrainRequest) (DrainReply, error) {
			begun <- struct{}{}
			<-ctx.Done()
			return DrainReply{Flushed: 9}, nil
		},
		hold: func(ctx context.Context) error {
			begun <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		},
	}, Options{}, nil)
	idle := dialRaw(t, s.Peer().Name)
	drained, held := make(chan error, 1), make(chan error, 1)
	ctx := testContext(t)
	go func() {
		reply, err := client(s).Drain(ctx, DrainRequest{})
		if err == nil && reply.Flushed != 9 {
			err = fmt.Errorf("reply %+v", reply)
		}
		drained <- err
	}()
	<-begun
	go func() { held <- client(s).Hold(ctx) }()
	<-begun
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := <-drained; err != nil {
		t.Errorf("Drain that ended well while closing: %v", err)
	}
	if err := <-held; !errors.Is(err, ErrGone) {
		t.Errorf("Hold that was cancelled by closing: %v, want ErrGone", err)
	}
	if _, err := idle.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("an idle connection is left open")
	}
	if _, err := client(s).Status(ctx); !errors.Is(err, ErrGone) {
		t.Errorf("Status after Close: %v", err)
	}
}

func TestServeOnceAndCloseOften(t *testing.T) {
	s := startServer(t, &fakeAgent{}, Options{}, nil)
	if _, err := client(s).Status(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(&fakeAgent{}); err == nil {
		t.Error("second Serve returned nil")
	}
	for range 3 {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	unserved, err := Listen(newService(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	unserved.Close()
	if err := unserved.Serve(&fakeAgent{}); err != nil {
		t.Errorf("Serve after Close: %v", err)
	}
}

func TestNameIsTakenOnce(t *testing.T) {
	s := startServer(t, &fakeAgent{}, Options{}, nil)
	_, err := Listen(s.Peer().Service, Options{Instance: s.Peer().Instance})
	if err == nil || !strings.Contains(err.Error(), s.Peer().Name) {
		t.Errorf("second Listen: %v", err)
	}
	if _, err := Listen("a/b", Options{}); err == nil {
		t.Error("bad service name accepted")
	}
}

func TestFloodOfIdleConnections(t *testing.T) {
	s := startServer(t, &fakeAgent{}, Options{}, nil)
	for i := range 200 {
		conn := dialRaw(t, s.Peer().Name)
		if i%2 == 0 {
			io.WriteString(conn, "GET /v1/sta")
		}
	}
	if _, err := client(s).Status(testContext(t)); err != nil {
		t.Errorf("Status during a flood: %v", err)
	}
	s.conns.mu.Lock()
	open := len(s.conns.open)
	s.conns.mu.Unlock()
	if open > s.limits.conns/2 {
		t.Errorf("%d connections of one process are open", open)
	}
}

func TestTooManyCallsAreRefused(t *testing.T) {
	begun, end := make(chan struct{}), make(chan struct{})
	s := startServer(t, &fakeAgent{hold: func(ctx context.Context) error {
		begun <- struct{}{}
		<-end
		return nil
	}}, Options{}, nil)
	c, ctx := client(s), testContext(t)
	done := make(chan error)
	for range s.limits.calls {
		go func() { done <- c.Hold(ctx) }()
		<-begun
	}
	if err := c.Hold(ctx); !errors.Is(err, ErrBusy) {
		t.Errorf("one call too many: %v", err)
	}
	if _, err := c.Status(ctx); err != nil {
		t.Errorf("Status beside them: %v", err)
	}
	close(end)
	for range s.limits.calls {
		if err := <-done; err != nil {
			t.Errorf("Hold: %v", err)
		}
	}
}
