package doctor

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/libp2p/go-reuseport"

	"github.com/gohandover/handover/reuse"
)

// examine examines the address that l listens on, or another one on its port.
func examine(t *testing.T, address string) []Finding {
	t.Helper()
	id, err := reuse.ParseGroup("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	e := &exam{host: host{proc: "/proc"}}
	e.address(t.Context(), id)
	return e.findings
}

func listenAt(t *testing.T, lc net.ListenConfig, address string) net.Listener {
	t.Helper()
	l, err := lc.Listen(context.Background(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func want(t *testing.T, findings []Finding, level Level, about, text string) {
	t.Helper()
	for _, f := range findings {
		if f.Level == level && f.About == about && strings.Contains(f.Found, text) {
			return
		}
	}
	t.Errorf("no %s %s with %q in %+v", level, about, text, findings)
}

func TestAddressOfAPlainGroup(t *testing.T) {
	lc := net.ListenConfig{Control: reuseport.Control}
	lc.SetMultipathTCP(false)
	l := listenAt(t, lc, "127.0.0.1:0")
	findings := examine(t, l.Addr().String())
	want(t, findings, OK, "listener", l.Addr().String())
	want(t, findings, Warn, "agent", "no process with this library")
	want(t, findings, OK, "join", "can listen on")
}

func TestAddressOfAnMPTCPListener(t *testing.T) {
	if text, ok := (host{proc: "/proc"}).read("sys/net/mptcp/enabled"); !ok || text != "1" {
		return // such listeners can't be made here
	}
	lc := net.ListenConfig{Control: reuseport.Control}
	lc.SetMultipathTCP(true)
	l := listenAt(t, lc, "127.0.0.1:0")
	want(t, examine(t, l.Addr().String()), Warn, "listener", "an MPTCP listener")
}

func TestAddressThatOverlaps(t *testing.T) {
	lc := net.ListenConfig{Control: reuseport.Control}
	lc.SetMultipathTCP(false)
	l := listenAt(t, lc, "127.0.0.1:0")
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	want(t, examine(t, ":"+port), Fail, "overlap", l.Addr().String())
}

func TestTrialLeavesNothing(t *testing.T) {
	if took, err := handOver(t.Context(), "tcp4", "127.0.0.1:0"); err != nil || took <= 0 {
		t.Fatalf("took %v: %v", took, err)
	}
}
