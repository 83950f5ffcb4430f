package reuse

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"
)

func mustBind(t testing.TB, network, address string) *Socket {
	t.Helper()
	s, err := Config{}.Bind(t.Context(), network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func mustListen(t testing.TB, network, address string) *Listener {
	t.Helper()
	l, err := mustBind(t, network, address).Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// mustServe returns the only member of a new group, with clients admitted.
func mustServe(t testing.TB, network, address string) *Listener {
	t.Helper()
	l := mustListen(t, network, address)
	mustAttach(t, l, Only(0))
	if err := l.Admit(); err != nil {
		t.Fatal(err)
	}
	return l
}

func mustAttach(t testing.TB, l *Listener, p Plan) {
	t.Helper()
	if err := l.Attach(p); err != nil {
		t.Fatal(err)
	}
}

// join adds a listener to the group of first, steered by p before it hears.
func join(t testing.TB, first *Listener, p Plan) *Listener {
	t.Helper()
	s, err := first.sock.Sibling(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l, err := s.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	mustAttach(t, l, p)
	if err := l.Admit(); err != nil {
		t.Fatal(err)
	}
	return l
}

// forms are the kinds of addresses that a group can stand behind.
var forms = []struct{ name, network, address string }{
	{"IPv4", "tcp", "127.0.0.1:0"},
	{"IPv4 wildcard", "tcp4", ":0"},
	{"IPv6", "tcp", "[::1]:0"},
	{"IPv6 only wildcard", "tcp6", "[::]:0"},
	{"dual-stack", "tcp", ":0"},
}

func TestCutoverMovesEveryNewConnection(t *testing.T) {
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			old := mustServe(t, f.network, f.address)
			fresh := join(t, old, Only(0))
			discard(old)
			discard(fresh)
			for want, l := range []*Listener{old, fresh} {
				got, err := l.Index(t.Context())
				if err != nil || len(got) != 1 || got[0] != want {
					t.Fatalf("index of listener %d: %v, %v", want, got, err)
				}
			}
			for range 20 {
				wantReach(t, old, true)
			}
			wantReach(t, fresh, false)
			mustAttach(t, fresh, Only(1))
			for range 20 {
				wantReach(t, fresh, true)
			}
		})
	}
}

// discard accepts as a server does, and closes what it gets.
func discard(l *Listener) {
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
}

func wantReach(t *testing.T, l *Listener, want bool) {
	t.Helper()
	got, err := l.Reach(t.Context())
	if err != nil || got != want {
		t.Fatalf("Reach: %v, %v; want %v", got, err, want)
	}
}

func TestGuardedMemberGetsNoClientEvenWithoutAProgram(t *testing.T) {
	old := mustListen(t, "tcp", "127.0.0.1:0")
	if err := old.Admit(); err != nil {
		t.Fatal(err)
	}
	s, err := old.sock.Sibling(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	guarded, err := s.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer guarded.Close()
	got := make(chan net.Conn, 1)
	go func() {
		if c, err := guarded.Accept(); err == nil {
			got <- c
		}
	}()
	// With no program the hash picks the guarded member for about half of these;
	// those that it picks are not refused, they are answered at their second SYN.
	for dropped := 0; dropped < 2; {
		dialed := make(chan error, 1)
		go func() {
			c, err := net.DialTimeout("tcp", old.Addr().String(), 10*time.Second)
			if err == nil {
				c.Close()
			}
			dialed <- err
		}()
		select {
		case err := <-dialed:
			if err != nil {
				t.Fatal(err)
			}
		case <-time.After(100 * time.Millisecond): // its SYN was dropped
			dropped++
			mustAttach(t, guarded, Only(0))
			if err := <-dialed; err != nil {
				t.Fatalf("client whose first SYN was dropped: %v", err)
			}
			if err := guarded.Detach(); err != nil {
				t.Fatal(err)
			}
		}
	}
	select {
	case <-got:
		t.Fatal("the guarded member accepted a client")
	default:
	}
}

func TestGuardHoldsEvenWhereTheProgramNamesTheMember(t *testing.T) {
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			old := mustServe(t, f.network, f.address)
			s, err := old.sock.Sibling(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			fresh, err := s.Listen(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer fresh.Close()
			discard(fresh)
			mustAttach(t, fresh, Only(1)) // a stale program could say so
			for _, host := range localHosts(fresh.Group().Addr.Addr()) {
				if host.Is4() && f.network == "tcp6" {
					continue
				}
				addr := netip.AddrPortFrom(host, fresh.Group().Addr.Port()).String()
				dialed := make(chan error, 1)
				go func() {
					c, err := net.DialTimeout("tcp", addr, 10*time.Second)
					if err == nil {
						c.Close()
					}
					dialed <- err
				}()
				select {
				case err := <-dialed:
					t.Fatalf("a client got past the guard to %s: %v", addr, err)
				case <-time.After(200 * time.Millisecond):
				}
				if err := fresh.Admit(); err != nil {
					t.Fatal(err)
				}
				if err := <-dialed; err != nil {
					t.Fatalf("a client that waited for the guard to be taken off: %v", err)
				}
				if _, err := fresh.Index(t.Context()); err != nil {
					t.Fatal(err)
				}
				m := fresh.snapshot()[0]
				if err := m.control(func(fd int) error { return setGuard(fd, m.v6, maxTTL-1) }); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestBindFindsErrorsEarly(t *testing.T) {
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	_, err = Config{}.Bind(t.Context(), "tcp", plain.Addr().String())
	var inUse *InUseError
	if !errors.As(err, &inUse) || !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatalf("bind over a plain listener: %v", err)
	}
	if len(inUse.Holders) != 1 || len(inUse.Holders[0].Processes) != 1 || inUse.Holders[0].Processes[0].PID != syscall.Getpid() {
		t.Fatalf("holders: %v", inUse.Holders)
	}
	t.Log(err)
}

func TestBoundSocketGetsNoConnection(t *testing.T) {
	l := mustListen(t, "tcp", "127.0.0.1:0")
	mustAttach(t, l, Plan{})
	if err := l.Admit(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.sock.Sibling(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		wantReach(t, l, true)
	}
}

func TestAcceptReturnsWhatWasAcceptedBeforeRetire(t *testing.T) {
	l := mustServe(t, "tcp", "127.0.0.1:0")
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := Flush(ctx, l); err != nil {
		t.Fatal(err)
	}
	if err := l.Retire(); err != nil {
		t.Fatal(err)
	}
	got, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	go func() { io.WriteString(got, "hello"); got.Close() }()
	if b, err := io.ReadAll(c); err != nil || string(b) != "hello" {
		t.Fatalf("read %q, %v", b, err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("Accept after Retire: %v", err)
	}
}

func TestLookShowsMembersAndOverlaps(t *testing.T) {
	l := mustListen(t, "tcp4", ":0")
	port := netip.MustParseAddrPort(l.Addr().String()).Port()
	g, err := Look(t.Context(), l.Group())
	if err != nil {
		t.Fatal(err)
	}
	m, ok := g.Find(l.Cookies()[0])
	if !ok || len(g.Members) != 1 || m.QueueLimit == 0 || m.Inode == 0 || int(m.UID) != syscall.Geteuid() {
		t.Fatalf("members: %+v", g.Members)
	}
	for _, other := range []GroupID{
		{Addr: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)},
		{Addr: netip.AddrPortFrom(netip.IPv6Unspecified(), port)},
	} {
		g, err := Look(t.Context(), other)
		if err != nil {
			t.Fatal(err)
		}
		var over *OverlapError
		if err := g.CheckOverlap(); !errors.As(err, &over) {
			t.Errorf("%s: CheckOverlap: %v", other, err)
		}
		if err := g.CheckOverlap(l.Group()); err != nil {
			t.Errorf("%s: CheckOverlap but for ours: %v", other, err)
		}
	}
	v6 := GroupID{Addr: netip.AddrPortFrom(netip.IPv6Unspecified(), port), V6Only: true}
	if g, _ := Look(t.Context(), v6); g.CheckOverlap() != nil {
		t.Errorf("an IPv6 only wildcard overlaps with an IPv4 one: %v", g.CheckOverlap())
	}
}
