package health_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gohandover/handover/health"
)

var discard = log.New(io.Discard, "", 0)

// grpcAnswer is what the test's server says about a service.
type grpcAnswer struct {
	body         string
	code         string // grpc-status
	message      string // grpc-message
	trailersOnly bool
}

// grpcHealth speaks as much of gRPC as the health service needs.
func grpcHealth(t testing.TB, answers map[string]grpcAnswer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request, err := io.ReadAll(r.Body)
		if r.Method != "POST" || r.URL.Path != "/grpc.health.v1.Health/Check" || r.ProtoMajor != 2 || r.Header.Get("Te") != "trailers" ||
			r.Header.Get("Content-Type") != "application/grpc" || err != nil || len(request) < 5 {
			t.Errorf("request %s %s %s %v %q %v", r.Method, r.URL, r.Proto, r.Header, request, err)
		}
		service := ""
		if message := request[5:]; len(message) > 0 {
			service = string(message[2:])
			if want := append([]byte{0, 0, 0, 0, byte(len(message)), 1<<3 | 2, byte(len(service))}, service...); !bytes.Equal(request, want) {
				t.Errorf("message % x, want % x", request, want)
			}
		}
		a := answers[service]
		w.Header().Set("Content-Type", "application/grpc+proto")
		prefix := http.TrailerPrefix
		if a.trailersOnly {
			prefix = ""
		}
		if a.code != "" {
			w.Header().Set(prefix+"Grpc-Status", a.code)
			w.Header().Set(prefix+"Grpc-Message", a.message)
		}
		_, _ = io.WriteString(w, a.body)
	})
}

// h2c serves HTTP/2 without TLS.
func h2c(t testing.TB, h http.Handler) string {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func frame(message string) string {
	return string([]byte{0, 0, 0, 0, byte(len(message))}) + message
}

func TestGRPCProbeAnswers(t *testing.T) {
	const malformed = "malformed answer from the gRPC health service"
	answers := map[string]grpcAnswer{}
	wants := map[string]string{}
	for _, test := range []struct {
		service string
		answer  grpcAnswer
		want    string
	}{
		{"", grpcAnswer{body: frame("\x08\x01"), code: "0"}, ""},
		{"shop.v1.Orders", grpcAnswer{body: frame("\x08\x01"), code: "0"}, ""},
		{"down", grpcAnswer{body: frame("\x08\x02"), code: "0"}, "NOT_SERVING"},
		{"watched", grpcAnswer{body: frame("\x08\x03"), code: "0"}, "SERVICE_UNKNOWN"},
		{"default", grpcAnswer{body: frame(""), code: "0"}, "UNKNOWN"},
		{"future", grpcAnswer{body: frame("\x08\x80\x01"), code: "0"}, "serving status 128"},
		{"extended", grpcAnswer{body: frame("\x12\x02ab\x19 8 bytes\x25 fou\x30\x07\x08\x01"), code: "0"}, ""},
		{"missing", grpcAnswer{code: "5", message: "unknown%20service: 100%25", trailersOnly: true}, "NOT_FOUND: unknown service: 100%"},
		{"old", grpcAnswer{code: "12"}, "UNIMPLEMENTED"},
		{"odd", grpcAnswer{code: "99", message: "50%"}, "code 99: 50%"},
		{"late error", grpcAnswer{body: frame("\x08\x01"), code: "14", message: "shutting down"}, "UNAVAILABLE: shutting down"},
		{"no status", grpcAnswer{body: frame("\x08\x01")}, malformed + `: grpc-status ""`},
		{"no message", grpcAnswer{code: "0"}, malformed},
		{"compressed", grpcAnswer{body: "\x01\x00\x00\x00\x02\x08\x01", code: "0"}, malformed},
		{"short", grpcAnswer{body: "\x00\x00\x00\x00\x03\x08\x01", code: "0"}, malformed},
		{"cut varint", grpcAnswer{body: frame("\x08\x80"), code: "0"}, malformed},
		{"cut key", grpcAnswer{body: frame("\x80"), code: "0"}, malformed},
		{"cut bytes", grpcAnswer{body: frame("\x12\x05ab"), code: "0"}, malformed},
		{"huge bytes", grpcAnswer{body: frame("\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), code: "0"}, malformed},
		{"group", grpcAnswer{body: frame("\x0b"), code: "0"}, malformed},
		{"endless", grpcAnswer{body: strings.Repeat("a", 5000), code: "0"}, malformed + ": longer than 4096 bytes"},
	} {
		answers[test.service] = test.answer
		wants[test.service] = test.want
	}
	address := h2c(t, grpcHealth(t, answers))
	for service, want := range wants {
		err := health.GRPCProbe{Address: address, Service: service}.Probe(t.Context())
		if want == "" && err == nil {
			continue
		}
		if err == nil || err.Error() != want {
			t.Errorf("service %q: %v, want %q", service, err, want)
		}
	}
}

func TestGRPCProbeDialsAnew(t *testing.T) {
	dial := &countingDial{to: h2c(t, grpcHealth(t, map[string]grpcAnswer{"": {body: frame("\x08\x01"), code: "0"}}))}
	p := health.WithDial(health.GRPCProbe{Address: "grpc.internal:50051"}, dial.dial)
	for range 3 {
		if err := p.Probe(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := dial.calls.Load(); n != 3 || dial.asked.Load() != "grpc.internal:50051" {
		t.Errorf("%d connections to %v", n, dial.asked.Load())
	}
}

func TestGRPCProbeTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(grpcHealth(t, map[string]grpcAnswer{"": {body: frame("\x08\x01"), code: "0"}}))
	server.EnableHTTP2 = true
	server.Config.ErrorLog = discard
	server.StartTLS()
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	address := server.Listener.Addr().String()
	if err := (health.GRPCProbe{Address: address, TLS: &tls.Config{RootCAs: roots}}).Probe(t.Context()); err != nil {
		t.Error(err)
	}
	wantErrorContains(t, health.GRPCProbe{Address: address, TLS: new(tls.Config)}.Probe(t.Context()), "certificate")
}

func TestGRPCProbeOfSomethingElse(t *testing.T) {
	address := h2c(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(404)
		fmt.Fprint(w, "hello")
	}))
	err := health.GRPCProbe{Address: address}.Probe(t.Context())
	wantError(t, err, `not a gRPC answer: 404 Not Found, content type "text/plain; charset=utf-8"`)

	plain := serve(t, func(http.ResponseWriter, *http.Request) {})
	plain.Config.ErrorLog = discard
	if err := (health.GRPCProbe{Address: plain.Listener.Addr().String()}).Probe(t.Context()); err == nil {
		t.Error("a server that speaks HTTP/1.1 only passed")
	}
}
