package load

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

type connKey struct{}

type serverOptions struct {
	handler http.HandlerFunc // Handler("v1") if nil
	network string           // "tcp4" if empty
	tls     bool
}

type testServer struct {
	addr     string
	tls      *tls.Config // for its clients
	requests atomic.Uint64
	conns    atomic.Uint64
}

// serve serves HTTP/1.1 and HTTP/2 until the test ends.
func serve(t *testing.T, o serverOptions) *testServer {
	t.Helper()
	handler := http.Handler(o.handler)
	if o.handler == nil {
		handler = Handler("v1")
	}
	address := "127.0.0.1:0"
	if o.network == "tcp6" {
		address = "[::1]:0"
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := &testServer{addr: l.Addr().String()}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		handler.ServeHTTP(w, r)
	}))
	server.Listener.Close()
	server.Listener = l
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		s.conns.Add(1)
		return context.WithValue(ctx, connKey{}, c)
	}
	if o.tls {
		server.EnableHTTP2 = true
		server.StartTLS()
		roots := x509.NewCertPool()
		roots.AddCert(server.Certificate())
		s.tls = &tls.Config{RootCAs: roots}
	} else {
		server.Config.Protocols = new(http.Protocols)
		server.Config.Protocols.SetHTTP1(true)
		server.Config.Protocols.SetUnencryptedHTTP2(true)
		server.Start()
	}
	t.Cleanup(server.Close)
	return s
}

// everyPattern has some clients for each pattern.
func everyPattern() map[Pattern]int {
	all := HTTP1()
	maps.Copy(all, HTTP2())
	return all
}

func TestEveryPatternIsAnswered(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]serverOptions{
		"clear text":      {},
		"TLS":             {tls: true},
		"IPv6":            {network: "tcp6"},
		"TLS over IPv6":   {network: "tcp6", tls: true},
		"GOAWAY and such": {handler: announceCloses(7)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := serve(t, options)
			result, err := Run(t.Context(), Config{
				Address: server.addr, TLS: server.tls, Patterns: everyPattern(), Clients: 26, Pause: 20 * time.Millisecond,
				MaxDuration: 700 * time.Millisecond,
			})
			if err != nil {
				t.Fatal(err)
			}
			checkSums(t, result)
			if result.Total.Failed != 0 {
				t.Fatalf("failed: %v%s", result.Total.Failures, text(result.Failures))
			}
			if got, want := server.requests.Load(), result.Total.Sent+result.Total.Resent; got > want || got < result.Total.Sent {
				t.Errorf("the server has read %d requests; %d were sent and %d sent again", got, result.Total.Sent, result.Total.Resent)
			}
			if len(result.Patterns) != int(patternCount) {
				t.Fatalf("%d patterns have run, want %d", len(result.Patterns), patternCount)
			}
			for _, p := range result.Patterns {
				checkPattern(t, p)
			}
		})
	}
}

func checkPattern(t *testing.T, p PatternCounts) {
	t.Helper()
	if p.Clients == 0 || p.Answered == 0 || p.Versions["v1"] != p.Answered {
		t.Errorf("%v: %+v", p.Pattern, p.Counts)
	}
	l := p.Latency
	if l.P50 < 0 || l.P50 > l.P90 || l.P90 > l.P99 || l.P99 > l.P999 || l.P999 > l.Max || l.Max <= 0 {
		t.Errorf("%v: latency %+v", p.Pattern, l)
	}
}

// announceCloses returns a handler that asks for the connection's end with every nth answer.
func announceCloses(n uint64) http.HandlerFunc {
	var count atomic.Uint64
	handler := Handler("v1")
	return func(w http.ResponseWriter, r *http.Request) {
		if count.Add(1)%n == 0 {
			w.Header().Set("Connection", "close")
		}
		handler.ServeHTTP(w, r)
	}
}

func TestWaitsOfPatternsAreNotLatency(t *testing.T) {
	t.Parallel()
	server := serve(t, serverOptions{})
	for p := range patternCount {
		if p.Wait() == 0 {
			continue
		}
		t.Run(p.String(), func(t *testing.T) {
			t.Parallel()
			result := once(t, server.addr, p, 1)
			if result.Total.Answered != 1 || result.Elapsed < p.Wait() || result.Total.Latency.Max > result.Elapsed-p.Wait() {
				t.Errorf("answered %d in %v with latency %v, of which %v is the pattern's wait",
					result.Total.Answered, result.Elapsed, result.Total.Latency.Max, p.Wait())
			}
		})
	}
}

func TestVersionsAreCounted(t *testing.T) {
	t.Parallel()
	var current atomic.Pointer[http.Handler]
	swap := func(version string) {
		h := Handler(version)
		current.Store(&h)
	}
	swap("v1")
	var count atomic.Int64
	server := serve(t, serverOptions{handler: func(w http.ResponseWriter, r *http.Request) {
		if count.Add(1) == 11 {
			swap("v2")
		}
		(*current.Load()).ServeHTTP(w, r)
	}})
	result := once(t, server.addr, KeepAlivePost, 30)
	if want := map[string]uint64{"v1": 10, "v2": 20}; !maps.Equal(result.Total.Versions, want) {
		t.Errorf("answers by version: %v, want %v", result.Total.Versions, want)
	}
}

func TestStopLetsRequestsInFlightFinish(t *testing.T) {
	t.Parallel()
	server := serve(t, serverOptions{})
	l, err := Start(t.Context(), Config{
		Address: server.addr, Clients: 4, Patterns: map[Pattern]int{SlowRequest: 1, H2Stream: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	for server.requests.Load() < 4 {
		time.Sleep(time.Millisecond)
	}
	if s := l.Stats(); s.Total.InFlight != 4 || s.Total.Sent != 4 {
		t.Errorf("sent %d, in flight %d; want 4 and 4", s.Total.Sent, s.Total.InFlight)
	}
	result := l.Stop()
	checkSums(t, result)
	if result.Total.Answered != 4 || result.Total.Sent != 4 {
		t.Errorf("sent %d, answered %d; want 4 and 4%s", result.Total.Sent, result.Total.Answered, text(result.Failures))
	}
	if again := l.Stop(); again.Total.Sent != 4 || again.Elapsed != result.Elapsed {
		t.Errorf("stopped again: %+v, want the same as before", again.Stats)
	}
}

func TestRunEndsByItself(t *testing.T) {
	t.Parallel()
	// A pause of an hour must not hold up the end.
	cfg := Config{Patterns: map[Pattern]int{KeepAliveGet: 1}, Clients: 8, Pause: time.Hour}
	t.Run("with its context", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		answer := Handler("v1")
		var count atomic.Int64
		server := serve(t, serverOptions{handler: func(w http.ResponseWriter, r *http.Request) {
			if count.Add(1) == 8 {
				cancel()
			}
			answer.ServeHTTP(w, r)
		}})
		wantAnswered(ctx, t, cfg, server, 8, 8)
	})
	t.Run("after MaxDuration", func(t *testing.T) {
		t.Parallel()
		cfg := cfg
		cfg.MaxDuration = 200 * time.Millisecond
		wantAnswered(t.Context(), t, cfg, serve(t, serverOptions{}), 1, 8)
	})
	t.Run("after MaxRequests", func(t *testing.T) {
		t.Parallel()
		cfg := cfg
		cfg.MaxRequests, cfg.Pause = 100, 0
		wantAnswered(t.Context(), t, cfg, serve(t, serverOptions{}), 100, 100)
	})
}

func wantAnswered(ctx context.Context, t *testing.T, cfg Config, server *testServer, least, most uint64) {
	t.Helper()
	cfg.Address = server.addr
	result, err := Run(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	checkSums(t, result)
	if got := result.Total.Answered; result.Total.Failed > 0 || got < least || got > most {
		t.Errorf("%d answered, %d failed; want %d to %d answered%s", got, result.Total.Failed, least, most, text(result.Failures))
	}
}

func TestResultAsJSONNamesPatternsAndKinds(t *testing.T) {
	t.Parallel()
	server := serveScript(t, func(v visit) { v.read() })
	text, err := json.Marshal(once(t, server.addr, KeepAliveGet, 1))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"pattern":"keep-alive GET"`, `"failures":{"closed without an answer":1}`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
}

func BenchmarkRequest(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := &http.Server{Handler: Handler("v1")}
	go server.Serve(l)
	defer server.Close()
	for _, p := range []Pattern{NewConnection, KeepAliveGet, KeepAlivePost} {
		b.Run(strings.ReplaceAll(p.String(), " ", "-"), func(b *testing.B) {
			b.ReportAllocs()
			result, err := Run(b.Context(), Config{
				Address: l.Addr().String(), Clients: 4, Pause: -1, Patterns: map[Pattern]int{p: 1}, MaxRequests: uint64(b.N),
			})
			if err != nil || result.Total.Failed > 0 {
				b.Fatal(err, result.Failures)
			}
		})
	}
}
