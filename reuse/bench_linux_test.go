package reuse

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
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
	fresh, err := s.Listen(b.Context())
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

// connectIdle opens n connections that stay idle, from a process of its own:
// one process may not have as many descriptors as both ends need.
func connectIdle(b *testing.B, address string, n int) (closeAll func()) {
	b.Helper()
	if n == 0 {
		return func() {}
	}
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), idleClients+"="+strconv.Itoa(n)+" "+address)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		b.Fatalf("idle clients: %q, %v", line, err)
	}
	return func() {
		stdin.Close()
		cmd.Wait()
	}
}

// idleClients is the variable that makes the test binary hold idle connections
// until its standard input ends: their number and the address.
const idleClients = "REUSE_TEST_IDLE_CLIENTS"

func TestMain(m *testing.M) {
	if spec := os.Getenv(idleClients); spec != "" {
		holdIdle(spec)
		return
	}
	os.Exit(m.Run())
}

func holdIdle(spec string) {
	var n int
	var address string
	if _, err := fmt.Sscan(spec, &n, &address); err != nil {
		panic(err)
	}
	conns := make([]net.Conn, 0, n)
	for i := range n {
		// Each source address lends its ports to a part of them.
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i/1000))}}
		c, err := d.Dial("tcp", address)
		if err != nil {
			panic(err)
		}
		conns = append(conns, c)
	}
	fmt.Println(len(conns))
	io.Copy(io.Discard, os.Stdin)
	for _, c := range conns {
		c.(*net.TCPConn).SetLinger(0) // leaves no TIME_WAIT behind to slow the next run
		c.Close()
	}
}
