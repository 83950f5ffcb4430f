package handover_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gohandover/handover/internal/load"
)

// drive puts clients that never retry on the service.
func drive(t *testing.T, cfg load.Config) *load.Load {
	t.Helper()
	if cfg.Clients == 0 {
		cfg.Clients = 18
	}
	if cfg.Pause == 0 {
		cfg.Pause = 5 * time.Millisecond
	}
	ctx, cancel := context.WithCancel(context.Background())
	l, err := load.Start(ctx, cfg)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() { // also where the test has failed already
		cancel()
		<-l.Done()
	})
	return l
}

// awaitAnswers waits until the version has answered some requests.
func awaitAnswers(t *testing.T, l *load.Load, version string) {
	t.Helper()
	eventually(t, version+" answers", func() bool { return l.Stats().Total.Versions[version] > 50 })
}

// wantNoneLost ends the load and checks that every request was answered.
func wantNoneLost(t *testing.T, l *load.Load) load.Result {
	t.Helper()
	r := l.Stop()
	if r.Total.Failed > 0 || r.Total.Sent != r.Total.Answered || r.Total.Answered == 0 {
		t.Errorf("%d of %d requests failed, %d were answered: %v", r.Total.Failed, r.Total.Sent, r.Total.Answered, r.Total.Failures)
		for i, f := range r.Failures {
			if i < 10 {
				t.Log(f)
			}
		}
	}
	return r
}

// takeOver replaces the running version n times under the loads.
func takeOver(t *testing.T, f *fleet, old *server, n int, loads ...*load.Load) *server {
	t.Helper()
	for range n {
		next := f.serve()
		old.wantExit(0)
		for _, l := range loads {
			awaitAnswers(t, l, next.Version)
		}
		old = next
	}
	return old
}

func TestTakeoverUnderLoadLosesNothing(t *testing.T) {
	f := newFleet(t, spec{Probes: []string{"/readyz"}})
	old := f.serve()
	l := drive(t, load.Config{Address: f.address(), Clients: 52})
	awaitAnswers(t, l, "v1")
	takeOver(t, f, old, 4, l)
	r := wantNoneLost(t, l)
	for _, p := range r.Patterns {
		if p.Answered == 0 {
			t.Errorf("pattern %v has no answer", p.Pattern)
		}
	}
}

func TestTakeoverLosesNothingOver(t *testing.T) {
	insecure := &tls.Config{InsecureSkipVerify: true} // the certificate is made anew by each version
	both := load.HTTP1()
	for p, n := range load.HTTP2() {
		both[p] = n
	}
	for _, test := range []struct {
		name      string
		spec      spec
		addresses []string // for clients; the service's own if empty
		cfg       load.Config
	}{
		{name: "TLS with HTTP1", spec: spec{Mode: "tls"}, cfg: load.Config{TLS: insecure}},
		{name: "TLS with HTTP2", spec: spec{Mode: "tls"}, cfg: load.Config{TLS: insecure, Patterns: load.HTTP2()}},
		{name: "HTTP1 and h2c", spec: spec{Mode: "h2c"}, cfg: load.Config{Patterns: both}},
		{name: "IPv6", spec: spec{Addresses: []string{"[::1]:0"}}},
		{name: "the dual-stack wildcard", spec: spec{Addresses: []string{":0"}}, addresses: []string{"127.0.0.1", "[::1]"}},
		{name: "several addresses", spec: spec{Addresses: []string{"127.0.0.1:0", "[::1]:0", "127.0.0.1:0"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, test.spec)
			old := f.serve()
			var loads []*load.Load
			for _, a := range clientAddresses(f, test.addresses) {
				test.cfg.Address = a
				loads = append(loads, drive(t, test.cfg))
			}
			for _, l := range loads {
				awaitAnswers(t, l, "v1")
			}
			takeOver(t, f, old, 2, loads...)
			for _, l := range loads {
				wantNoneLost(t, l)
			}
		})
	}
}

// clientAddresses are where clients connect to: the hosts with the service's
// port, or the service's addresses if there are no hosts.
func clientAddresses(f *fleet, hosts []string) []string {
	var out []string
	for _, h := range hosts {
		out = append(out, h+f.address()[strings.LastIndexByte(f.address(), ':'):])
	}
	if out == nil {
		return f.base.Addresses
	}
	return out
}

// get asks for a path on a new connection, and returns the body.
func get(address, path string) (string, error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	resp, err := client.Get("http://" + address + path)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	return string(body), err
}

// wantVersion checks who answers n new connections.
func wantVersion(t *testing.T, address, version string, n int) {
	t.Helper()
	for range n {
		if got, err := get(address, "/version"); err != nil || got != version {
			t.Fatalf("a new connection was answered by %q (%v); want %s", got, err, version)
		}
	}
}

// ask sends a request in the background and returns where its answer will be.
func ask(address, path string) <-chan string {
	answer := make(chan string, 1)
	go func() {
		body, err := get(address, path)
		if err != nil {
			body = "error: " + err.Error()
		}
		answer <- body
	}()
	return answer
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { c.Close() })
	return c
}
