package handover_test

import (
	"context"
	"crypto/rand"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gohandover/handover"
	"github.com/gohandover/handover/health"
	"github.com/gohandover/handover/internal/control"
)

// wantRefused checks that a server is refused for a reason, before anything
// was touched.
func wantRefused(t *testing.T, o handover.Options, address string, words ...string) {
	t.Helper()
	o.Logger = quiet().Logger
	if o.Name == "" {
		o.Name = "options-" + rand.Text()
	}
	o.Hooks.BeforeStart = func(context.Context) error {
		t.Error("the version warmed up")
		return net.ErrClosed
	}
	o.Control = func(string, string, syscall.RawConn) error {
		t.Error("a socket was made")
		return net.ErrClosed
	}
	err := handover.Serve(t.Context(), &http.Server{Addr: address}, o)
	if err == nil {
		t.Fatal("Serve returned nil")
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q doesn't say %q", err, w)
		}
	}
	if peers, _ := control.Peers(t.Context(), o.Name); len(peers) > 0 {
		t.Errorf("control sockets are left: %v", peers)
	}
}

func TestBadOptionsAreRefused(t *testing.T) {
	for _, test := range []struct {
		name    string
		o       handover.Options
		address string
		words   []string
	}{
		{"name with a blank", handover.Options{Name: "my service"}, "", []string{"service name", `"my service"`, "only A-Z"}},
		{"name with a slash", handover.Options{Name: "a/b"}, "", []string{"service name", "only A-Z"}},
		{"name of 65 bytes", handover.Options{Name: strings.Repeat("x", 65)}, "", []string{"65 bytes long"}},
		{"negative flush timeout", handover.Options{FlushTimeout: -time.Second}, "", []string{"FlushTimeout", "-1s"}},
		{"negative lock timeout", handover.Options{LockTimeout: -time.Second}, "", []string{"LockTimeout", "-1s"}},
		{"negative bake", handover.Options{Bake: -time.Second}, "", []string{"Bake", "-1s"}},
		{"negative gate interval", handover.Options{Gate: health.Gate{Interval: -1}}, "", []string{"handover:", "nterval"}},
		{"bad probe", handover.Options{Probes: []string{"gopher://x"}}, "", []string{`"gopher://x"`}},
		{"address without a port", handover.Options{}, "127.0.0.1", []string{`"127.0.0.1"`, "missing port"}},
		{"unknown port", handover.Options{}, "127.0.0.1:nosuchport", []string{"nosuchport"}},
		{"one bad address of two", handover.Options{Addresses: []string{"127.0.0.1:0", "x y:1"}}, "", []string{`"x y:1"`}},
		{"the same address twice", handover.Options{Addresses: []string{"127.0.0.1:8", "127.0.0.1:8"}}, "", []string{"127.0.0.1:8", "twice"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if test.address == "" {
				test.address = "127.0.0.1:0"
			}
			wantRefused(t, test.o, test.address, test.words...)
		})
	}
}

func TestBadEnvironmentIsRefused(t *testing.T) {
	for _, test := range []struct {
		name, value string
		words       []string
	}{
		{"HANDOVER_NAME", "my service", []string{"service name", `"my service"`}},
		{"HANDOVER_PROBES", "/ok gopher://x", []string{`"gopher://x"`}},
		{"HANDOVER_DRAIN_TIMEOUT", "soon", []string{"HANDOVER_DRAIN_TIMEOUT", `"soon"`, "30s"}},
		{"HANDOVER_IDLE_GRACE", "5", []string{"HANDOVER_IDLE_GRACE"}},
		{"HANDOVER_FLUSH_TIMEOUT", "-1s", []string{"HANDOVER_FLUSH_TIMEOUT"}},
		{"HANDOVER_START_TIMEOUT", "1h1", []string{"HANDOVER_START_TIMEOUT"}},
		{"HANDOVER_LOCK_TIMEOUT", " 1s", []string{"HANDOVER_LOCK_TIMEOUT"}},
		{"HANDOVER_BAKE", "cake", []string{"HANDOVER_BAKE"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv(test.name, test.value)
			if test.name == "HANDOVER_NAME" {
				if err := handover.ListenAndServe("127.0.0.1:0", nil); err == nil || !strings.Contains(err.Error(), `"my service"`) {
					t.Errorf("error: %v", err)
				}
				return
			}
			wantRefused(t, handover.Options{}, "127.0.0.1:0", test.words...)
		})
	}
}

// The environment stands in for what the program leaves open.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	f := newFleet(t, spec{})
	f.serve()
	p := startServer(t, spec{Role: "http", Addresses: f.base.Addresses, Check: "db is away"}, nil,
		"HANDOVER_NAME="+f.base.Service, "HANDOVER_VERSION=from-environment", "HANDOVER_START_TIMEOUT=300ms")
	p.wantExit(exitError, "handover failed at gate", "service "+f.base.Service, "not healthy after 3", "db is away")

	p = startServer(t, spec{Role: "http", Addresses: f.base.Addresses, Sick: true}, nil,
		"HANDOVER_NAME="+f.base.Service, "HANDOVER_PROBES=/version /readyz", "HANDOVER_START_TIMEOUT=300ms")
	p.wantExit(exitError, "503")

	p = startServer(t, spec{Role: "http", Addresses: f.base.Addresses}, nil,
		"HANDOVER_NAME="+f.base.Service, "HANDOVER_VERSION=from-environment")
	if got := p.awaitWord("ready", "version"); got != "from-environment" {
		t.Errorf("version %q", got)
	}
}

func TestServerIsUsedOnce(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	srv := &http.Server{Addr: "127.0.0.1:0"}
	o := quiet()
	o.Hooks.Ready = func(handover.Info) { cancel() }
	if err := handover.Serve(ctx, srv, o); err != nil {
		t.Fatal(err)
	}
	if err := handover.Serve(ctx, srv, quiet()); err == nil {
		t.Error("a server was served twice")
	}
}

func TestListenRefuses(t *testing.T) {
	t.Parallel()
	o := quiet()
	if _, err := handover.Listen(t.Context(), "udp", "127.0.0.1:0", o); err == nil || !strings.Contains(err.Error(), `"udp" is not tcp, tcp4 or tcp6`) {
		t.Errorf("network udp: %v", err)
	}
	o.Addresses = []string{"127.0.0.1:0"}
	if _, err := handover.Listen(t.Context(), "tcp", "127.0.0.1:0", o); err == nil || !strings.Contains(err.Error(), "Listen has one address") {
		t.Errorf("Addresses: %v", err)
	}
}
