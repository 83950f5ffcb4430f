package reuse

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"
)

func mustAddr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// TestBallastSurvivesClosesOfOthers brings a newcomer to a group of several
// sockets, which then close in different orders while clients connect: each of
// them has to reach the newcomer.
func TestBallastSurvivesClosesOfOthers(t *testing.T) {
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {1, 2, 0}} {
		others := make([]*Listener, len(order))
		others[0] = mustServe(t, "tcp", "127.0.0.1:0")
		for i := 1; i < len(others); i++ {
			others[i] = join(t, others[0], Only(0))
		}
		fresh := join(t, others[0], Only(0))
		for _, l := range append(slices.Clone(others), fresh) {
			discard(l)
		}
		if err := fresh.Grow(t.Context(), len(others)-1); err != nil {
			t.Fatal(err)
		}
		if err := fresh.Take(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, i := range order {
			wantReach(t, fresh, true)
			if err := others[i].Retire(); err != nil {
				t.Fatal(err)
			}
			for range 5 {
				wantReach(t, fresh, true)
			}
		}
		if err := fresh.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := len(fresh.Cookies()); n != 1 {
			t.Fatalf("%d sockets after settling", n)
		}
		wantReach(t, fresh, true)
		if got, err := fresh.Index(t.Context()); err != nil || !slices.Equal(got, []int{0}) {
			t.Fatalf("index after settling: %v, %v", got, err)
		}
	}
}

func TestSettleUnderLoadLosesNothing(t *testing.T) {
	active := mustListen(t, "tcp", "127.0.0.1:0")
	if err := active.Hold(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := active.Admit(); err != nil {
		t.Fatal(err)
	}
	discard(active)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				c, err := net.Dial("tcp", active.Addr().String())
				if err != nil {
					t.Errorf("a client was not served: %v", err)
					return
				}
				// The server closes without a word: anything but that is a reset.
				c.SetReadDeadline(time.Now().Add(5 * time.Second))
				if _, err := c.Read(make([]byte, 1)); err == nil || err.Error() != "EOF" {
					t.Errorf("a client was not served: %v", err)
				}
				c.Close()
			}
		})
	}
	for range 10 {
		if err := active.Grow(t.Context(), 3); err != nil {
			t.Fatal(err)
		}
		if err := active.Admit(); err != nil {
			t.Fatal(err)
		}
		mustAttach(t, active, Only(0, 1, 2, 3))
		if err := active.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	wg.Wait()
}

func TestYieldGivesConnectionsToTheOthers(t *testing.T) {
	old := mustServe(t, "tcp", "127.0.0.1:0")
	fresh := join(t, old, Only(0))
	discard(old)
	discard(fresh)
	if err := fresh.Take(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantReach(t, fresh, true)
	if err := fresh.Yield(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		wantReach(t, old, true)
	}
	old.Close()
	if err := fresh.Yield(t.Context()); err != nil {
		t.Fatalf("yield with nobody to yield to: %v", err)
	}
	wantReach(t, fresh, true)
}

func TestSteerFromOutside(t *testing.T) {
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			a := mustServe(t, f.network, f.address)
			b := join(t, a, Only(0))
			discard(a)
			discard(b)
			for i, l := range []*Listener{b, a, b} {
				network, address := a.Group().Listen()
				if err := (Config{}).Steer(t.Context(), network, address, Only(1-i%2)); err != nil {
					t.Fatal(err)
				}
				for range 5 {
					wantReach(t, l, true)
				}
			}
			if g, err := Look(t.Context(), a.Group()); err != nil || len(g.Members) != 2 {
				t.Fatalf("members after steering: %v, %v", g.Members, err)
			}
		})
	}
}

func TestDialReachesOnlyItsOwn(t *testing.T) {
	old := mustServe(t, "tcp", "127.0.0.1:0")
	discard(old)
	s, err := old.sock.Sibling(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := s.Listen(t.Context()) // and no Admit: Dial is for the time before
	if err != nil {
		t.Fatal(err)
	}
	defer fresh.Close()
	if _, err := fresh.Dial(t.Context()); err == nil {
		t.Fatal("Dial without a known place succeeded")
	}
	if _, err := fresh.Index(t.Context()); err != nil {
		t.Fatal(err)
	}
	accepted := make(chan net.Conn, 1)
	go func() {
		if c, err := fresh.Accept(); err == nil {
			accepted <- c
		}
	}()
	c, err := fresh.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	got := <-accepted
	defer got.Close()
	if c, err := fresh.Dial(t.Context()); !errors.Is(err, ErrElsewhere) {
		t.Errorf("Dial to a server that doesn't accept: %v, %v", c, err)
	}
	if got.RemoteAddr().String() != c.LocalAddr().String() {
		t.Errorf("accepted %v, dialed from %v", got.RemoteAddr(), c.LocalAddr())
	}
	fresh.setSeen(0) // as if the order had changed
	if _, err := fresh.Dial(t.Context()); err == nil {
		t.Error("a connection that the other member took was taken for our own")
	}
}

// TestSettleKeepsWhatOthersMayStillMove settles a newcomer beside two sockets of
// others, which close only then.
func TestSettleKeepsWhatOthersMayStillMove(t *testing.T) {
	stuck := mustServe(t, "tcp", "127.0.0.1:0")
	too := join(t, stuck, Only(0))
	fresh := join(t, stuck, Only(0))
	for _, l := range []*Listener{stuck, too, fresh} {
		discard(l)
	}
	if err := fresh.Grow(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if err := fresh.Take(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := fresh.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(fresh.Cookies()); n != 2 {
		t.Fatalf("%d sockets beside two of others, want 2", n)
	}
	for _, l := range []*Listener{too, stuck} {
		if err := l.Retire(); err != nil {
			t.Fatal(err)
		}
		for range 10 {
			wantReach(t, fresh, true)
		}
	}
	if err := fresh.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(fresh.Cookies()); n != 1 {
		t.Fatalf("%d sockets alone in the group, want 1", n)
	}
}

func TestHoldThatComesTooLateChangesNothing(t *testing.T) {
	old := mustServe(t, "tcp", "127.0.0.1:0")
	fresh := join(t, old, Only(0))
	discard(old)
	discard(fresh)
	if _, err := old.Index(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := fresh.Take(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // whoever asked has gone on
	if err := old.Hold(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Hold: %v", err)
	}
	wantReach(t, fresh, true)
}
