package load

import (
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestEachFailureIsClassifiedAndCountedOnce(t *testing.T) {
	t.Parallel()
	const partial = "HTTP/1.1 200 OK\r\nContent-Length: 512\r\n"
	tests := []struct {
		name    string
		pattern Pattern
		script  func(v visit, body string)
		want    Kind
	}{
		{"reset instead of an answer", KeepAliveGet, func(v visit, _ string) { v.reset() }, ResetAfter},
		{"close instead of an answer", NewConnection, func(v visit, _ string) {}, Closed},
		{"close in the header", KeepAliveGet, func(v visit, _ string) { fmt.Fprint(v, partial) }, Truncated},
		{"close in the body", KeepAlivePost, func(v visit, body string) { fmt.Fprint(v, partial+"\r\n"+body[:99]) }, Truncated},
		{"close in a chunk", KeepAliveGet, func(v visit, body string) {
			fmt.Fprint(v, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n200\r\n"+body[:99])
		}, Truncated},
		{"close before the last chunk", KeepAliveGet, func(v visit, body string) {
			fmt.Fprint(v, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n200\r\n"+body+"\r\n")
		}, Truncated},
		{"close before the end, without a length", NewConnection, func(v visit, body string) {
			fmt.Fprint(v, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"+body[:99])
		}, Truncated},
		{"another request's body", KeepAliveGet, func(v visit, body string) {
			v.answer(string(appendBody(nil, 1, len(body))), "")
		}, WrongBody},
		{"another request's end of the body", KeepAlivePost, func(v visit, body string) {
			v.answer(body[:496]+"0123456789abcdef", "")
		}, WrongBody},
		{"a body too short by its own account", KeepAliveGet, func(v visit, body string) { v.answer(body[:99], "") }, WrongBody},
		{"a body too long", KeepAliveGet, func(v visit, body string) { v.answer(body+"x", "") }, WrongBody},
		{"bytes after the answer", KeepAliveGet, func(v visit, body string) {
			fmt.Fprintf(v, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s%s", len(body), body, "HTTP/1.1 200")
		}, WrongBody},
		{"status 503", KeepAliveGet, func(v visit, _ string) {
			fmt.Fprint(v, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\ngone")
		}, WrongStatus},
		{"another protocol", NewConnection, func(v visit, _ string) { fmt.Fprint(v, "SSH-2.0-x\r\n\r\n") }, Malformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := serveScript(t, func(v visit) {
				if body, ok := v.read(); ok {
					tt.script(v, body)
				}
			})
			wantOneFailure(t, once(t, server.addr, tt.pattern, 1), tt.pattern, tt.want)
			if got := server.requests.Load(); got != 1 {
				t.Errorf("the server has read %d requests, want 1", got)
			}
			if got := server.conns.Load(); got != 1 {
				t.Errorf("the server has seen %d connections, want 1", got)
			}
		})
	}
}

func wantOneFailure(t *testing.T, r Result, p Pattern, want Kind) {
	t.Helper()
	if r.Total.Sent != 1 || !maps.Equal(r.Total.Failures, map[Kind]uint64{want: 1}) {
		t.Fatalf("sent %d, failed %v; want 1 of kind %q%s", r.Total.Sent, r.Total.Failures, want, text(r.Failures))
	}
	if len(r.Failures) != 1 {
		t.Fatalf("%d failures kept, want 1", len(r.Failures))
	}
	f := r.Failures[0]
	if f.Pattern != p || f.Kind != want || f.Error == "" || f.Time.Before(r.Start) {
		t.Errorf("kept %+v", f)
	}
	// A reset that comes early enough leaves no connection to ask.
	if known := f.Local != ""; f.Remote == "" || want != ResetBefore && known != (want != Refused) {
		t.Errorf("kept the addresses %q and %q", f.Local, f.Remote)
	}
}

func TestResetBeforeTheRequestIsSent(t *testing.T) {
	t.Parallel()
	t.Run("while the first byte is late", func(t *testing.T) {
		t.Parallel()
		server := serveScript(t, func(v visit) { v.reset() })
		wantOneFailure(t, once(t, server.addr, LateFirstByte, 1), LateFirstByte, ResetBefore)
	})
	t.Run("in an upload", func(t *testing.T) {
		t.Parallel()
		server := serveScript(t, func(v visit) {
			if _, err := http.ReadRequest(v.reader); err == nil {
				v.reset()
			}
		})
		wantOneFailure(t, once(t, server.addr, ChunkedUpload, 1), ChunkedUpload, ResetBefore)
	})
}

func TestRefused(t *testing.T) {
	t.Parallel()
	server := serveScript(t, func(v visit) { v.hang() })
	// The local port of a connection is in use, so no other program gets it, and nobody listens on it.
	conn, err := net.Dial("tcp", server.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	wantOneFailure(t, once(t, conn.LocalAddr().String(), NewConnection, 1), NewConnection, Refused)
	result := runOne(t, Config{Address: conn.LocalAddr().String(), Patterns: map[Pattern]int{H2Get: 1}, MaxRequests: 1})
	wantOneFailure(t, result, H2Get, Refused)
}

func TestTimeouts(t *testing.T) {
	t.Parallel()
	silent := serveScript(t, func(v visit) { v.hang() })
	halfway := serveScript(t, func(v visit) {
		if _, ok := v.read(); ok {
			fmt.Fprint(v, "HTTP/1.1 200 OK\r\nContent-Length: 512\r\n\r\nhalf")
			v.hang()
		}
	})
	untrusting := &tls.Config{MinVersion: tls.VersionTLS12}
	tests := []struct {
		name    string
		addr    string
		pattern Pattern
		tls     *tls.Config
		want    Kind
	}{
		{"no answer", silent.addr, KeepAliveGet, nil, Timeout},
		{"no end of the answer", halfway.addr, KeepAliveGet, nil, Timeout},
		{"no TLS handshake", silent.addr, KeepAliveGet, untrusting, DialTimeout},
		{"no TLS handshake for HTTP/2", silent.addr, H2Get, untrusting, DialTimeout},
		{"no HTTP/2 answer", silent.addr, H2Get, nil, Timeout},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := Config{
				Address: tt.addr, TLS: tt.tls, Patterns: map[Pattern]int{tt.pattern: 1}, MaxRequests: 1,
				Timeout: 200 * time.Millisecond, DialTimeout: 100 * time.Millisecond,
			}
			result := runOne(t, cfg)
			if result.Total.Failures[tt.want] != 1 || result.Total.Sent != 1 {
				t.Fatalf("sent %d, failed %v; want 1 of kind %q%s", result.Total.Sent, result.Total.Failures, tt.want, text(result.Failures))
			}
		})
	}
}

func TestUntrustedCertificateFailsTheDial(t *testing.T) {
	t.Parallel()
	server := serve(t, serverOptions{tls: true})
	for _, p := range []Pattern{NewConnection, H2Get} {
		result := runOne(t, Config{Address: server.addr, TLS: &tls.Config{}, Patterns: map[Pattern]int{p: 1}, MaxRequests: 1})
		if result.Total.Failures[DialFailed] != 1 || !strings.Contains(text(result.Failures), "certificate") {
			t.Errorf("%v: failed %v, want one certificate refused%s", p, result.Total.Failures, text(result.Failures))
		}
	}
}

func TestHTTP2Failures(t *testing.T) {
	t.Parallel()
	abort := func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		panic(http.ErrAbortHandler)
	}
	tests := []struct {
		name    string
		handler http.HandlerFunc
		want    Kind
	}{
		{"stream reset instead of an answer", abort, ResetAfter},
		{"stream reset in the body", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "512")
			fmt.Fprint(w, "begun")
			http.NewResponseController(w).Flush()
			abort(w, r)
		}, Truncated},
		{"wrong status", http.NotFound, WrongStatus},
		{"wrong body", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "hello") }, WrongBody},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := serve(t, serverOptions{handler: tt.handler})
			wantOneFailure(t, once(t, server.addr, H2Post, 1), H2Post, tt.want)
			if got := server.requests.Load(); got != 1 {
				t.Errorf("the server has read %d requests, want 1", got)
			}
		})
	}
}

func TestHTTP2ConnectionCutIsAFailure(t *testing.T) {
	t.Parallel()
	server := serve(t, serverOptions{handler: func(w http.ResponseWriter, r *http.Request) {
		// A whole close would be a reset whenever a frame of the client is still unread.
		r.Context().Value(connKey{}).(*net.TCPConn).CloseWrite()
		<-r.Context().Done()
	}})
	wantOneFailure(t, once(t, server.addr, H2Get, 1), H2Get, Closed)
}

func TestKeptFailuresAreBounded(t *testing.T) {
	t.Parallel()
	server := serveScript(t, func(v visit) { v.read() })
	for keep, want := range map[int]int{3: 3, -1: 0} {
		result := runOne(t, Config{
			Address: server.addr, Patterns: map[Pattern]int{KeepAliveGet: 1}, MaxRequests: 5, KeepFailures: keep,
		})
		if result.Total.Failed != 5 || len(result.Failures) != want {
			t.Errorf("KeepFailures %d: %d failed and %d kept, want 5 and %d", keep, result.Total.Failed, len(result.Failures), want)
		}
	}
}
