package drain

import (
	"io"
	"net"
	"net/http"
	"runtime"
	"testing"
)

// costSite serves a small answer over one keep-alive connection, with or without
// a Drain, and returns a function that makes one request without allocating.
func costSite(t testing.TB, drained bool) (request func()) {
	t.Helper()
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	})}
	if drained {
		if err := New(Options{}).Server(srv); err != nil {
			t.Fatal(err)
		}
	}
	l := listen(t)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		nc.Close()
		srv.Close()
		<-served
	})
	req := []byte(getRequest)
	answer := make([]byte, len("HTTP/1.1 204 No Content\r\nDate: Mon, 02 Jan 2006 15:04:05 GMT\r\n\r\n"))
	return func() {
		if _, err := nc.Write(req); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(nc, answer); err != nil {
			t.Fatal(err)
		}
	}
}

func allocsPerRequest(t *testing.T, drained bool) float64 {
	const warm, runs = 100, 3000
	request := costSite(t, drained)
	for range warm {
		request()
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		request()
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / runs
}

func TestRequestsAllocateNothingMore(t *testing.T) {
	plain, drained := allocsPerRequest(t, false), allocsPerRequest(t, true)
	if drained > plain+0.5 {
		t.Errorf("%.2f allocations per request, %.2f without a Drain", drained, plain)
	}
}

func BenchmarkRequest(b *testing.B) {
	for name, drained := range map[string]bool{"plain": false, "drained": true} {
		b.Run(name, func(b *testing.B) {
			request := costSite(b, drained)
			b.ReportAllocs()
			for b.Loop() {
				request()
			}
		})
	}
}
