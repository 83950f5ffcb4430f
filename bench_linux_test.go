package handover_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"

	"github.com/gohandover/handover"
)

// The benchmarks compare a server of this package with plain net/http in one
// run; read them as ratios:
//
//	go test -run '^$' -bench Request -benchmem -count 6 . | benchstat -col /server -

func BenchmarkKeepAliveRequest(b *testing.B) {
	forBoth(b, func(b *testing.B, address string) {
		c, err := net.Dial("tcp", address)
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		r := bufio.NewReader(c)
		for b.Loop() {
			roundTrip(b, c, r, "GET / HTTP/1.1\r\nHost: bench\r\n\r\n")
		}
	})
}

func BenchmarkNewConnectionRequest(b *testing.B) {
	forBoth(b, func(b *testing.B, address string) {
		r := bufio.NewReader(nil)
		for b.Loop() {
			c, err := net.Dial("tcp", address)
			if err != nil {
				b.Fatal(err)
			}
			r.Reset(c)
			roundTrip(b, c, r, "GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
			c.Close()
		}
	})
}

func forBoth(b *testing.B, f func(b *testing.B, address string)) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })
	b.Run("server=plain", func(b *testing.B) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		srv := &http.Server{Handler: handler}
		go srv.Serve(l)
		defer srv.Close()
		f(b, l.Addr().String())
	})
	b.Run("server=handover", func(b *testing.B) {
		ctx, cancel := context.WithCancel(b.Context())
		ready, ended := make(chan net.Addr, 1), make(chan error, 1)
		go func() {
			ended <- handover.Serve(ctx, &http.Server{Addr: "127.0.0.1:0", Handler: handler}, handover.Options{
				Logger:  slog.New(slog.DiscardHandler),
				Signals: handover.Signals{Off: true},
				Hooks:   handover.Hooks{Ready: func(i handover.Info) { ready <- i.Addresses[0] }},
			})
		}()
		select {
		case a := <-ready:
			f(b, a.String())
		case err := <-ended:
			b.Fatal(err)
		}
		cancel()
		if err := <-ended; err != nil {
			b.Fatal(err)
		}
	})
}

// roundTrip sends one request and reads the answer, without allocating, so that
// what is measured is the server.
func roundTrip(b *testing.B, c net.Conn, r *bufio.Reader, request string) {
	if _, err := io.WriteString(c, request); err != nil {
		b.Fatal(err)
	}
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			b.Fatal(err)
		}
		if len(line) <= 2 {
			break
		}
	}
	if _, err := r.Discard(len("hello")); err != nil {
		b.Fatal(err)
	}
}
