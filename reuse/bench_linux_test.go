package reuse

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"
)

// BenchmarkCutover measures the system call that moves all new connections, in
// groups of different sizes.
func BenchmarkCutover(b *testing.B) {
	for _, members := range []int{2, 16, 64} {
		b.Run(fmt.Sprintf("members=%d", members), func(b *testing.B) {
			l := mustListen(b, "tcp", "127.0.0.1:0")
			if err := l.Grow(b.Context(), members-1); err != nil {
				b.Fatal(err)
			}
			for i := range b.N {
				mustAttach(b, l, Only(i%members))
			}
		})
	}
}

// BenchmarkHandover measures a whole hand-over between two listeners of one
// process, with idle established connections in the background: joining, finding
// the own place, cutover, flush, close and settling. The sub-benchmarks are to be
// compared with each other.
func BenchmarkHandover(b *testing.B) {
	for _, idle := range []int{0, 10_000} {
		b.Run(fmt.Sprintf("idle=%d", idle), func(b *testing.B) {
			active := mustListen(b, "tcp", "127.0.0.1:0")
			discard := holdAll(active)
			defer discard()
			if err := active.Hold(b.Context()); err != nil {
				b.Fatal(err)
			}
			if err := active.Admit(); err != nil {
				b.Fatal(err)
			}
			defer connectIdle(b, active.Addr().String(), idle)()
			b.ResetTimer()
			for range b.N {
				active = handOver(b, active)
			}
		})
	}
}

func handOver(b *testing.B, old *Listener) *Listener {
	b.Helper()
	s, err := old.sock.Sibling(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	fresh, err := s.Listen()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { fresh.Close() })
	holdAll(fresh)
	ctx, cancel := context.WithTimeout(b.Context(), 10*time.Second)
	defer cancel()
	for _, step := range []func() error{
		func() error { return fresh.Take(ctx) },
		func() error { _, err := Flush(ctx, old); return err },
		old.Retire,
		func() error { return fresh.Settle(ctx) },
	} {
		if err := step(); err != nil {
			b.Fatal(err)
		}
	}
	return fresh
}

// holdAll accepts connections and keeps them open until the function that it
// returns is called.
func holdAll(l *Listener) (closeAll func()) {
	conns := make(chan net.Conn, 1<<16)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns <- c
		}
	}()
	return func() {
		for {
			select {
			case c := <-conns:
				c.Close()
			default:
				return
			}
		}
	}
}

// connectIdle opens n connections that stay idle. Each source address lends its
// ports to a part of them.
func connectIdle(b *testing.B, address string, n int) (closeAll func()) {
	b.Helper()
	var conns []net.Conn
	for i := range n {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i/10_000))}}
		c, err := d.Dial("tcp", address)
		if err != nil {
			b.Fatal(err)
		}
		conns = append(conns, c)
	}
	return func() {
		for _, c := range conns {
			c.Close()
		}
	}
}
