package control

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestClientSendsNothingToAnotherUser(t *testing.T) {
	uid, id := otherUser()
	p, err := newPeer(newService(t), NewInstance(), "")
	if err != nil {
		t.Fatal(err)
	}
	squatter := startActor(t, "squat", p.Name, uid, nil)
	if got := squatter.line(t); got != "listening" {
		t.Fatal(got)
	}
	c := NewClient(p, ClientOptions{})
	c.id = id
	_, err = c.Status(testContext(t))
	squatted, ok := errors.AsType[*SquattedError](err)
	if !ok || !errors.Is(err, ErrSquatted) || squatted.Name != p.Name || int(squatted.UID) != max(uid, os.Geteuid()) {
		t.Fatalf("Status of a squatter: %v", err)
	}
	if got := squatter.line(t); got != "got 0" {
		t.Errorf("squatter %s bytes, want 0", got)
	}
	if ok, err := alive(testContext(t), p.Name, id()); ok || err != nil {
		t.Errorf("alive = %v, %v with a squatter on the name", ok, err)
	}
}

func TestRootMayListOtherUsers(t *testing.T) {
	uid, id := otherUser()
	actor := startActor(t, "serve", newService(t), uid, nil)
	p, ok := parseAbstract(actor.line(t))
	if !ok {
		t.Fatal("actor does not serve")
	}
	c := NewClient(p, ClientOptions{AnyUID: true})
	c.id = id
	_, err := c.Status(testContext(t))
	if asRoot() && err != nil || !asRoot() && !errors.Is(err, ErrSquatted) {
		t.Errorf("Status as uid %d: %v", os.Geteuid(), err)
	}
}

func TestServerReadsNothingFromAnotherUser(t *testing.T) {
	uid, id := otherUser()
	agent := &fakeAgent{}
	log := new(lockedBuffer)
	s := startServer(t, agent, Options{Logger: slog.New(slog.NewTextHandler(log, nil))}, func(s *Server) { s.gate.id = id })
	for range 3 {
		// Either the write or the read sees the closed connection.
		if got := startActor(t, "raw", s.Peer().Name, uid, nil).line(t); got != "0 false" {
			t.Errorf("bytes and time-out of another user's connection: %s", got)
		}
	}
	if n := agent.asked.Load(); n != 0 {
		t.Errorf("the agent was asked %d times", n)
	}
	want := fmt.Sprintf("uid=%d", max(uid, os.Geteuid()))
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, want) {
		t.Errorf("log of three refusals: %q, want one line with %q", got, want)
	}
}

// In a user namespace without a mapping every uid, also one's own, reads as the
// overflow uid.
func TestUnmappedUsersAreNotTheSame(t *testing.T) {
	s := startServer(t, &fakeAgent{}, Options{}, nil)
	unmapped := func() *syscall.SysProcAttr { return &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER} }

	got := startActor(t, "status", s.Peer().Name, 0, unmapped()).line(t)
	if !strings.HasPrefix(got, "true ") || !strings.Contains(got, "no uid in this user namespace") {
		t.Errorf("client without a mapping: %s", got)
	}

	actor := startActor(t, "serve", newService(t), 0, unmapped())
	p, ok := parseAbstract(actor.line(t))
	if !ok || p.UID != nobody {
		t.Fatalf("server without a mapping has the name %q", p.Name)
	}
	// Seen from here it is the same user; it cannot know that of us.
	if _, err := NewClient(p, ClientOptions{}).Status(testContext(t)); !errors.Is(err, ErrBusy) {
		t.Errorf("Status of a server without a mapping: %v, want a closed connection", err)
	}
}
