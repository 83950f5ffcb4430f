package control

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// fakeAgent answers with what the test sets; nil funcs succeed.
type fakeAgent struct {
	status Status
	asked  atomic.Int64
	hold   func(context.Context) error
	park   func(context.Context, ParkRequest) error
	drain  func(context.Context, DrainRequest) (DrainReply, error)
}

var _ Agent = (*fakeAgent)(nil)

func (a *fakeAgent) Status() Status {
	a.asked.Add(1)
	return a.status
}

func (a *fakeAgent) Hold(ctx context.Context) error {
	if a.hold == nil {
		return nil
	}
	return a.hold(ctx)
}

func (a *fakeAgent) Park(ctx context.Context, req ParkRequest) error {
	if a.park == nil {
		return nil
	}
	return a.park(ctx, req)
}

func (a *fakeAgent) Resume(context.Context) error {
	return fmt.Errorf("resume: %w: not parked", ErrConflict)
}

func (a *fakeAgent) Drain(ctx context.Context, req DrainRequest) (DrainReply, error) {
	if a.drain == nil {
		return DrainReply{}, nil
	}
	return a.drain(ctx, req)
}

func (a *fakeAgent) Stop(context.Context) error {
	return &Error{Message: "will not", Code: "odd_code", Hint: "ask again"}
}

// newService returns a name that no other test uses.
func newService(t testing.TB) string {
	t.Helper()
	return "test-" + NewInstance()
}

// testContext ends long before the test binary's own limit.
func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// startServer serves agent until the test ends; change may adjust it before.
func startServer(t testing.TB, agent Agent, opts Options, change func(*Server)) *Server {
	t.Helper()
	s, err := Listen(newService(t), opts)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(s)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve(agent) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return s
}

func client(s *Server) *Client { return NewClient(s.Peer(), ClientOptions{}) }

// dialRaw connects without the client.
func dialRaw(t testing.TB, name string) *net.UnixConn {
	t.Helper()
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: name, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn
}

// answerWith listens like an agent and answers every connection by do.
func answerWith(t testing.TB, do func(net.Conn)) Peer {
	t.Helper()
	p, err := newPeer(newService(t), NewInstance(), "")
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("unix", p.Name)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			do(conn)
			conn.Close()
		}
	}()
	t.Cleanup(func() {
		ln.Close()
		<-done
	})
	return p
}

// waitFor waits until cond holds.
func waitFor(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// asRoot says whether the tests can make processes of other users.
func asRoot() bool { return os.Geteuid() == 0 }

// lockedBuffer is a log that may be read while it is written.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
