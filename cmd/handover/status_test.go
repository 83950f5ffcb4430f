package main

import (
	"strings"
	"testing"
	"time"

	"github.com/gohandover/handover/internal/control"
)

func TestSeenFromTellsWhyThereIsNoStatus(t *testing.T) {
	peer := control.Peer{Name: "@handover/1000/web/0123456789abcdef", UID: 1000, Service: "web"}
	for _, c := range []struct {
		self  int
		err   error
		state string
		uid   int
	}{
		{1000, control.ErrDeaf, "deaf", 1000},
		{1000, &control.SquattedError{UID: 33}, "foreign", 33},
		{1000, control.ErrProtocol, "unreadable", 1000},
		{1001, control.ErrBusy, "foreign", 1000},
	} {
		s := seenFrom(control.Answer{Peer: peer, Err: c.err}, c.self)
		if s.state != c.state || s.UID != c.uid || s.Error == "" || s.Status != nil {
			t.Errorf("%v: got %+v", c.err, s)
		}
	}
}

func TestWriteStatus(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	member := control.Member{Network: "tcp", Address: "[::]:8080"}
	found := []seen{
		seenFrom(control.Answer{Peer: control.Peer{Service: "web", UID: 33}, Status: control.Status{
			Version: "v2", Generation: 2, PID: 7, State: control.StateActive, Since: now.Add(-90 * time.Second),
			Members: []control.Member{member, member}, InFlight: 3,
			Connections: map[string]int{"idle": 5, "active": 3, "hijacked": 0},
		}}, 0),
		seenFrom(control.Answer{Peer: control.Peer{Service: "web", UID: 34}, Err: control.ErrDeaf}, 0),
	}
	var b strings.Builder
	if err := writeStatus(&b, found, now); err != nil {
		t.Fatal(err)
	}
	want := `SERVICE  GENERATION  VERSION  PID  UID  STATE   SINCE  ADDRESSES  IN-FLIGHT  CONNECTIONS
web      2           v2       7    33   active  1m30s  [::]:8080  3          3 active, 5 idle
web      -           -        -    34   deaf    -      -          -          -
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}
