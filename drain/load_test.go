package drain

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	getRequest  = "GET / HTTP/1.1\r\nHost: test\r\n\r\n"
	postRequest = "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nbody"
)

// patterns are ways to send one request on an open connection.
var patterns = map[string]func(net.Conn) error{
	"get":  func(nc net.Conn) error { return send(nc, getRequest) },
	"post": func(nc net.Conn) error { return send(nc, postRequest) },
	"header in pieces": func(nc net.Conn) error {
		return pieces(nc, getRequest[:1], getRequest[1:7], getRequest[7:])
	},
	"chunked": func(nc net.Conn) error {
		return pieces(nc, "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n", "4\r\nbody\r\n", "0\r\n\r\n")
	},
	"late first byte": func(nc net.Conn) error {
		pause()
		return send(nc, getRequest)
	},
}

func send(nc net.Conn, s string) error {
	_, err := io.WriteString(nc, s)
	return err
}

func pieces(nc net.Conn, parts ...string) error {
	for _, p := range parts {
		if err := send(nc, p); err != nil {
			return err
		}
		pause()
	}
	return nil
}

// pause lets replacements fall between two writes of a client.
func pause() { time.Sleep(rand.N(5 * time.Millisecond)) }

// keepAlive makes requests until stop, on one connection for as long as the
// server lets it, and never makes one again.
func keepAlive(addr string, request func(net.Conn) error, stop <-chan struct{}, answered *atomic.Int64) error {
	for !isDone(stop) {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			return err
		}
		r := bufio.NewReader(nc)
		for last := false; !last; {
			last, err = exchange(nc, r, request)
			if err != nil {
				nc.Close()
				return err
			}
			answered.Add(1)
			last = last || isDone(stop)
		}
		nc.Close()
	}
	return nil
}

func exchange(nc net.Conn, r *bufio.Reader, request func(net.Conn) error) (last bool, err error) {
	if err := request(nc); err != nil {
		return false, fmt.Errorf("sending: %w", err)
	}
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		return false, fmt.Errorf("no answer: %w", err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return false, fmt.Errorf("answer cut: %w", err)
	}
	return resp.Close, nil
}

func TestHTTP1LosesNothingUnderLoad(t *testing.T) {
	r := newRelay(t, Options{}, servePlain, func() *http.Server { return &http.Server{Handler: http.HandlerFunc(hello)} })
	stop := make(chan struct{})
	end := sync.OnceFunc(func() { close(stop) })
	var answered atomic.Int64
	var clients sync.WaitGroup
	defer clients.Wait()
	defer end()
	for name, request := range patterns {
		for range 2 {
			clients.Go(func() {
				if err := keepAlive(r.addr(), request, stop, &answered); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
	}
	for range 150 {
		before := answered.Load()
		eventually(t, "requests are answered", func() bool { return t.Failed() || answered.Load() > before+10 })
		r.replace(servePlain)
	}
	end()
	clients.Wait()
	t.Logf("%d requests answered", answered.Load())
}
