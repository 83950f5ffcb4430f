package health_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gohandover/handover/health"
)

var errRefused = errors.New("connection refused")

func newHealth(t testing.TB, o health.Options) *health.Health {
	t.Helper()
	h, err := health.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func pass(context.Context) error { return nil }

func refuse(context.Context) error { return errRefused }

// listen returns a listener on a free port.
func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// closedPort returns an address that refuses connections.
func closedPort(t testing.TB) string {
	t.Helper()
	l := listen(t)
	_ = l.Close()
	return l.Addr().String()
}

// countingDial dials to in place of the address it is asked for, and counts.
type countingDial struct {
	to    string
	calls atomic.Int32
	asked atomic.Value
}

func (d *countingDial) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d.calls.Add(1)
	d.asked.Store(address)
	return new(net.Dialer).DialContext(ctx, network, d.to)
}

func wantError(t testing.TB, err error, want string) {
	t.Helper()
	if err == nil || err.Error() != want {
		t.Fatalf("error = %v\nwant    %s", err, want)
	}
}

func wantErrorContains(t testing.TB, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Fatalf("error = %v\nwant one that contains %q", err, want)
	}
}
