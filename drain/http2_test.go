package drain

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// testTLS returns the two ends of a TLS configuration.
func testTLS(t testing.TB) (server, client *tls.Config) {
	t.Helper()
	ts := httptest.NewUnstartedServer(nil)
	ts.StartTLS()
	defer ts.Close()
	pool := x509.NewCertPool()
	pool.AddCert(ts.Certificate())
	return &tls.Config{Certificates: ts.TLS.Certificates}, &tls.Config{RootCAs: pool, ServerName: "example.com"}
}

// flavour is HTTP/2 over TLS or without.
type flavour struct {
	scheme string
	serve  func(*http.Server, net.Listener) error
	server *tls.Config
	client *tls.Config
}

func eachFlavour(t *testing.T, test func(t *testing.T, f flavour)) {
	server, client := testTLS(t)
	t.Run("tls", func(t *testing.T) { test(t, flavour{"https", serveTLS, server, client}) })
	t.Run("h2c", func(t *testing.T) { test(t, flavour{"http", servePlain, nil, nil}) })
}

func (f flavour) newServer(h http.Handler) *http.Server {
	srv := &http.Server{Handler: h, TLSConfig: f.server.Clone(), Protocols: new(http.Protocols)}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetHTTP2(true)
	srv.Protocols.SetUnencryptedHTTP2(f.server == nil)
	return srv
}

func (f flavour) newClient() *http.Client {
	tr := &http.Transport{TLSClientConfig: f.client.Clone(), Protocols: new(http.Protocols)}
	tr.Protocols.SetHTTP2(f.client != nil)
	tr.Protocols.SetUnencryptedHTTP2(f.client == nil)
	return &http.Client{Transport: tr}
}

func (f flavour) dial(t testing.TB, addr string) *h2client {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	if f.client != nil {
		config := f.client.Clone()
		config.NextProtos = []string{"h2"}
		nc = tls.Client(nc, config)
	}
	c := &h2client{Conn: nc, next: 1, open: make(map[uint32]bool), answered: new(atomic.Int64), goneAway: new(atomic.Int64)}
	nc.SetDeadline(time.Now().Add(30 * time.Second))
	settings, window := "\x00\x00\x00\x04\x00\x00\x00\x00\x00", "\x00\x00\x04\x08\x00\x00\x00\x00\x00\x3f\xff\x00\x00"
	if _, err := io.WriteString(nc, clientPreface+settings+window); err != nil {
		t.Fatal(err)
	}
	return c
}

func (f flavour) newSite(t *testing.T, h http.HandlerFunc) *site {
	t.Helper()
	srv := f.newServer(h)
	s := &site{t: t, d: New(Options{IdleGrace: grace}), l: listen(t), served: make(chan error, 1)}
	if err := s.d.Server(srv); err != nil {
		t.Fatal(err)
	}
	go func() { s.served <- f.serve(srv, s.d.Hold(s.l)) }()
	t.Cleanup(func() {
		s.l.Close()
		s.d.Force()
		s.d.Run(context.Background())
	})
	return s
}

// h2client is an HTTP/2 client of one connection that retries nothing.
type h2client struct {
	net.Conn
	next   uint32
	open   map[uint32]bool
	told   bool   // GOAWAY was read
	lastID uint32 // of the last GOAWAY

	answered, goneAway *atomic.Int64
}

// request opens a stream: GET / for the authority "test".
func (c *h2client) request() error {
	fields := "\x82\x86\x84\x41\x04test"
	id := c.next
	c.next += 2
	c.open[id] = true
	_, err := c.Write(append([]byte{0, 0, byte(len(fields)), 1, 0x5, byte(id >> 24), byte(id >> 16), byte(id >> 8), byte(id)}, fields...))
	return err
}

// read handles one frame.
func (c *h2client) read() error {
	var h [9]byte
	if _, err := io.ReadFull(c, h[:]); err != nil {
		return err
	}
	payload := make([]byte, int(h[0])<<16|int(h[1])<<8|int(h[2]))
	if _, err := io.ReadFull(c, payload); err != nil {
		return err
	}
	id := uint32(h[5])<<24 | uint32(h[6])<<16 | uint32(h[7])<<8 | uint32(h[8])
	switch kind, flags := h[3], h[4]; kind {
	case 0, 1: // DATA, HEADERS
		if flags&1 != 0 {
			delete(c.open, id)
			c.answered.Add(1)
		}
	case 3:
		return fmt.Errorf("stream %d was reset", id)
	case 4:
		if flags&1 == 0 {
			_, err := io.WriteString(c, "\x00\x00\x00\x04\x01\x00\x00\x00\x00")
			return err
		}
	case 7:
		c.told = true
		c.goneAway.Add(1)
		c.lastID = uint32(payload[0])<<24 | uint32(payload[1])<<16 | uint32(payload[2])<<8 | uint32(payload[3])
	}
	return nil
}

// run keeps some streams open until the server says GOAWAY or stop closes, then
// waits for the answers to all it has opened.
func (c *h2client) run(stop <-chan struct{}) error {
	defer c.Close()
	for {
		c.told = c.told || isDone(stop)
		for !c.told && len(c.open) < 4 {
			if err := c.request(); err != nil {
				return err
			}
		}
		if len(c.open) == 0 {
			return nil
		}
		if err := c.read(); err != nil {
			return fmt.Errorf("%d of %d streams have no answer: %w", len(c.open), c.next/2, err)
		}
	}
}

func TestHTTP2RefusesNoStream(t *testing.T) {
	eachFlavour(t, func(t *testing.T, f flavour) {
		r := newRelay(t, Options{}, f.serve, func() *http.Server { return f.newServer(http.HandlerFunc(hello)) })
		stop := make(chan struct{})
		end := sync.OnceFunc(func() { close(stop) })
		var clients sync.WaitGroup
		defer clients.Wait()
		defer end()
		var answered, goneAway atomic.Int64
		for range 4 {
			clients.Go(func() {
				for !isDone(stop) {
					c := f.dial(t, r.addr())
					c.answered, c.goneAway = &answered, &goneAway
					if err := c.run(stop); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		for range 100 {
			eventually(t, "a client is served", func() bool {
				n := r.current().d.Status().InFlight
				return t.Failed() || n.Active+n.Idle > 0
			})
			before := goneAway.Load()
			r.replace(f.serve)
			eventually(t, "a client is told to go", func() bool { return t.Failed() || goneAway.Load() > before })
		}
		end()
		clients.Wait()
		t.Logf("%d streams answered", answered.Load())
	})
}

func isDone(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestHTTP2ClientSeesNoFailure(t *testing.T) {
	eachFlavour(t, func(t *testing.T, f flavour) {
		r := newRelay(t, Options{}, f.serve, func() *http.Server { return f.newServer(http.HandlerFunc(hello)) })
		stop := make(chan struct{})
		end := sync.OnceFunc(func() { close(stop) })
		var clients sync.WaitGroup
		defer clients.Wait()
		defer end()
		var answered atomic.Int64
		for range 2 {
			client := f.newClient()
			defer client.CloseIdleConnections()
			for range 4 {
				clients.Go(func() {
					for !isDone(stop) {
						if err := post(client, f.scheme+"://"+r.addr()); err != nil {
							t.Error(err)
							return
						}
						answered.Add(1)
					}
				})
			}
		}
		for range 20 {
			before := answered.Load()
			eventually(t, "requests are answered", func() bool { return t.Failed() || answered.Load() > before+20 })
			r.replace(f.serve)
		}
		end()
		clients.Wait()
		t.Logf("%d requests answered", answered.Load())
	})
}

func post(client *http.Client, url string) error {
	resp, err := client.Post(url, "text/plain", bytes.NewReader(make([]byte, 1000)))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.ReadAll(resp.Body)
	return err
}

func TestHTTP2IdleClientThatStaysIsClosed(t *testing.T) {
	eachFlavour(t, func(t *testing.T, f flavour) {
		s := f.newSite(t, hello)
		c := f.dial(t, s.l.Addr().String())
		defer c.Close()
		c.request()
		for len(c.open) > 0 {
			if err := c.read(); err != nil {
				t.Fatal(err)
			}
		}
		ended := s.drain()
		var err error
		var lastIDs []uint32
		for err == nil {
			if err = c.read(); c.told && err == nil {
				lastIDs = append(lastIDs, c.lastID)
			}
		}
		if want := []uint32{1<<31 - 1, 1}; fmt.Sprint(lastIDs) != fmt.Sprint(want) || err != io.EOF {
			t.Errorf("GOAWAYs with last streams %v, then %v; want %v, then EOF", lastIDs, err, want)
		}
		if took := wantClean(t, ended).Duration(); took > goAwayGrace {
			t.Errorf("took %v", took)
		}
	})
}

func TestHTTP2StreamInFlightFinishes(t *testing.T) {
	eachFlavour(t, func(t *testing.T, f flavour) {
		entered, release := make(chan struct{}), make(chan struct{})
		s := f.newSite(t, func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "first ")
			w.(http.Flusher).Flush()
			close(entered)
			<-release
			io.WriteString(w, "last")
		})
		client := f.newClient()
		defer client.CloseIdleConnections()
		body := make(chan string, 1)
		go func() {
			resp, err := client.Get(f.scheme + "://" + s.l.Addr().String())
			if err != nil {
				body <- err.Error()
				return
			}
			defer resp.Body.Close()
			b, err := io.ReadAll(resp.Body)
			body <- fmt.Sprint(string(b), err)
		}()
		<-entered
		ended := s.drain()
		time.Sleep(goAwayDelay + 100*time.Millisecond) // past the final GOAWAY
		close(release)
		if got, want := <-body, "first last<nil>"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		wantClean(t, ended)
	})
}

func TestHTTP2KeepsRequestTLS(t *testing.T) {
	server, client := testTLS(t)
	f := flavour{"https", serveTLS, server, client}
	s := f.newSite(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Proto, " ", r.TLS != nil && r.TLS.NegotiatedProtocol == "h2", " ", r.RemoteAddr != "")
	})
	c := f.newClient()
	defer c.CloseIdleConnections()
	resp, err := c.Get("https://" + s.l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, _ := io.ReadAll(resp.Body); string(b) != "HTTP/2.0 true true" {
		t.Errorf("got %q", b)
	}
}

func TestHTTP2StaysDisabled(t *testing.T) {
	server, client := testTLS(t)
	only1 := new(http.Protocols)
	only1.SetHTTP1(true)
	for name, srv := range map[string]*http.Server{
		"TLSNextProto": {TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}},
		"Protocols":    {Protocols: only1},
	} {
		t.Run(name, func(t *testing.T) {
			srv.TLSConfig = server.Clone()
			srv.Handler = http.HandlerFunc(hello)
			srv.ErrorLog = log.New(io.Discard, "", 0) // Close can meet the end of the handshake
			if err := New(Options{}).Server(srv); err != nil {
				t.Fatal(err)
			}
			l := listen(t)
			go srv.ServeTLS(l, "", "")
			defer srv.Close()
			config := client.Clone()
			config.NextProtos = []string{"h2", "http/1.1"}
			nc, err := tls.Dial("tcp", l.Addr().String(), config)
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			if got := nc.ConnectionState().NegotiatedProtocol; got != "http/1.1" {
				t.Errorf("negotiated %q", got)
			}
		})
	}
}
