package health_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gohandover/handover/health"
)

func serve(t testing.TB, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

func TestHTTPProbeAnswers(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/readyz":
			w.WriteHeader(503)
			fmt.Fprint(w, "[+]serving ok\n[-]db failed: connection refused\n[-]cache failed: timeout\nreadyz check failed\n")
		case "/moved":
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		case "/long":
			w.WriteHeader(500)
			fmt.Fprint(w, "\n \r\n"+strings.Repeat("ä", 5000))
		case "/empty":
			w.WriteHeader(404)
		case "/escape":
			w.WriteHeader(400)
			fmt.Fprint(w, "\x1b[2Jgone\xff\nsecond line")
		}
	})
	for _, test := range []struct {
		path   string
		expect []int
		want   string
	}{
		{"/", nil, ""},
		{"/moved", nil, ""},
		{"/readyz", []int{503}, ""},
		{"/readyz", nil, "503 Service Unavailable: [-]db failed: connection refused; [-]cache failed: timeout"},
		{"/moved", []int{200}, `302 Found to /elsewhere: <a href="/elsewhere">Found</a>.`},
		{"/long", nil, "500 Internal Server Error: " + strings.Repeat("ä", (512-3)/2) + "..."},
		{"/empty", nil, "404 Not Found"},
		{"/escape", nil, "400 Bad Request: [2Jgone?"},
		{"/", []int{204}, "200 OK"},
	} {
		err := health.HTTPProbe{URL: server.URL + test.path, Expect: test.expect}.Probe(t.Context())
		if test.want == "" && err == nil {
			continue
		}
		wantError(t, err, test.want)
	}
}

func TestHTTPProbeSendsWhatItIsTold(t *testing.T) {
	header := http.Header{"X-Probe": {"yes"}}
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		w.WriteHeader(500)
		fmt.Fprint(w, r.Method, " ", r.Host, " ", r.Header.Get("X-Probe"), " ", user, ":", password, " ", r.UserAgent())
	})
	p := health.HTTPProbe{
		URL: strings.Replace(server.URL, "://", "://ann:secret@", 1) + "/x", Host: "example.com", Method: "PUT", Header: header,
	}
	wantError(t, p.Probe(t.Context()), "500 Internal Server Error: PUT example.com yes ann:secret handover-probe")
	want := "PUT " + strings.Replace(server.URL, "://", "://ann:xxxxx@", 1) + "/x (host example.com)"
	if got := p.String(); got != want {
		t.Errorf("String() = %s, want %s", got, want)
	}
	if len(header) != 1 {
		t.Errorf("the caller's header was changed: %v", header)
	}
}

func TestHTTPProbeOpensAConnectionOfItsOwn(t *testing.T) {
	var keptAlive atomic.Bool
	server := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		if !r.Close {
			keptAlive.Store(true)
		}
	})
	dial := &countingDial{to: server.Listener.Addr().String()}
	p := health.WithDial(health.HTTPProbe{URL: "http://10.1.2.3:8080/"}, dial.dial)
	for range 3 {
		if err := p.Probe(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := dial.calls.Load(); n != 3 || dial.asked.Load() != "10.1.2.3:8080" || keptAlive.Load() {
		t.Errorf("%d connections to %v, kept alive %v; want 3 of their own", n, dial.asked.Load(), keptAlive.Load())
	}
}

func TestHTTPProbeRefused(t *testing.T) {
	address := closedPort(t)
	err := health.HTTPProbe{URL: "http://" + address + "/"}.Probe(t.Context())
	wantErrorContains(t, err, "dial tcp "+address)
	if strings.Contains(err.Error(), "http://") {
		t.Errorf("the URL is in the message twice once the gate has named the probe: %v", err)
	}
}

func TestHTTPProbeDoesNotWaitForAnEndlessBody(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(200)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	if err := (health.HTTPProbe{URL: server.URL}).Probe(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestHTTPProbeHonoursItsContext(t *testing.T) {
	l := listen(t) // accepts, in the kernel, and never answers
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := (health.HTTPProbe{URL: "http://" + l.Addr().String()}).Probe(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestHTTPProbeTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(500)
		fmt.Fprint(w, r.Proto, " ", r.TLS.ServerName)
	}))
	server.EnableHTTP2 = true
	server.Config.ErrorLog = discard
	server.StartTLS()
	defer server.Close()

	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate()) // made out for example.com and 127.0.0.1
	config := &tls.Config{RootCAs: roots}
	p := health.HTTPProbe{URL: server.URL, Host: "example.com:8443", TLS: config}
	wantError(t, p.Probe(t.Context()), "500 Internal Server Error: HTTP/2.0 example.com")
	if config.ServerName != "" || config.NextProtos != nil {
		t.Error("the caller's tls.Config was changed")
	}

	err := health.HTTPProbe{URL: server.URL}.Probe(t.Context())
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok {
		t.Errorf("a certificate of nobody was accepted: %v", err)
	}
	insecure, err := health.ParseProbe("https+insecure"+strings.TrimPrefix(server.URL, "https"), "")
	if err != nil {
		t.Fatal(err)
	}
	wantErrorContains(t, insecure.Probe(t.Context()), "500 Internal Server Error: HTTP/2.0")
	err = health.HTTPProbe{URL: strings.Replace(server.URL, "https", "http", 1)}.Probe(t.Context())
	wantError(t, err, "400 Bad Request: Client sent an HTTP request to an HTTPS server.")
}

func TestHTTPProbeReadsABoundedBody(t *testing.T) {
	read := make(chan error, 1)
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(500)
		_, err := io.Copy(w, endless{})
		read <- err
	})
	wantErrorContains(t, health.HTTPProbe{URL: server.URL}.Probe(t.Context()), "500 Internal Server Error: aaaa")
	if err := <-read; err == nil {
		t.Error("the server could write all of an endless body")
	}
}

// endless is a body without an end and without a line.
type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'a'
	}
	return len(b), nil
}
