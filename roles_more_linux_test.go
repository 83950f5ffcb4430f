package handover_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/libp2p/go-reuseport"

	"github.com/gohandover/handover"
	"github.com/gohandover/handover/health"
	"github.com/gohandover/handover/internal/control"
	"github.com/gohandover/handover/reuse"
)

// serveEcho is a server of its own protocol: it sends back what it gets, after
// its version.
func serveEcho(s spec) error {
	l, err := s.listen()
	if err != nil {
		return err
	}
	for {
		c, err := l.Accept()
		if err != nil {
			say("accept:", errors.Is(err, net.ErrClosed), errors.Is(err, http.ErrServerClosed))
			return l.Wait()
		}
		go func() {
			defer c.Close()
			io.WriteString(c, s.Version+"\n")
			io.Copy(c, c)
		}()
	}
}

// serveLazily greets its clients, and accepts no more of them from when it is
// told "stall" until it is told "all".
func serveLazily(s spec) error {
	l, err := s.listen()
	if err != nil {
		return err
	}
	stall := make(chan struct{})
	go func() {
		<-told("stall")
		close(stall)
		say("stalled")
	}()
	var all sync.WaitGroup
	defer all.Wait()
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return l.Wait()
		}
		if err != nil {
			time.Sleep(time.Millisecond) // no descriptor is left: as net/http does
			continue
		}
		all.Go(func() {
			defer c.Close()
			io.WriteString(c, s.Version+"\n")
			io.Copy(io.Discard, c)
		})
		select {
		case <-stall:
			<-told("all")
			commands.channel("all") <- struct{}{} // for the next time too
		default:
		}
	}
}

// serveNothing listens and never calls Accept.
func serveNothing(s spec) error {
	l, err := s.listen()
	if err != nil {
		return err
	}
	return l.Wait()
}

func (s spec) listen() (*handover.Listener, error) {
	o, err := s.options()
	if err != nil {
		return nil, err
	}
	o.Addresses = nil
	network := "tcp"
	if s.Network != "" {
		network = s.Network
	}
	return handover.Listen(context.Background(), network, s.Addresses[0], o)
}

// serveForeign is a server that shares its port and knows nothing of this
// module, and that SIGTERM ends at once.
func serveForeign(s spec) error {
	lc := net.ListenConfig{Control: reuseport.Control}
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(context.Background(), "tcp", s.Addresses[0])
	if err != nil {
		return err
	}
	go func() {
		term := make(chan os.Signal, 1)
		signal.Notify(term, syscall.SIGTERM)
		<-term
		say("terminated")
		os.Exit(0)
	}()
	h, err := health.New(health.Options{})
	if err != nil {
		return err
	}
	say("ready", "addr="+l.Addr().String())
	return http.Serve(l, s.mux(h))
}

// holdPort holds a port as any server does that doesn't share it.
func holdPort(s spec) error {
	lc := net.ListenConfig{}
	lc.SetMultipathTCP(s.Mode == "mptcp")
	l, err := lc.Listen(context.Background(), "tcp", s.Addresses[0])
	if err != nil {
		return err
	}
	say("ready", "addr="+l.Addr().String())
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		c.Close()
	}
}

// serveAgent is a server of another version of this module, as far as can be
// told from outside: it knows only the verbs in Mode, and says more in its status.
func serveAgent(s spec) error {
	ctl, err := net.Listen("unix", fmt.Sprintf("@handover/%d/%s/%s", os.Geteuid(), s.Service, control.NewInstance()))
	if err != nil {
		return err
	}
	l, err := joinGroup(s.Addresses[0])
	if err != nil {
		return err
	}
	verbs := strings.Fields(s.Mode)
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/status", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(map[string]any{
			"protocol": 7, "verbs": append([]string{"status", "levitate"}, verbs...),
			"service": s.Service, "generation": 41, "pid": os.Getpid(),
			"state": "active", "mood": map[string]any{"good": true}, "members": []any{map[string]any{
				"network": "tcp", "address": l.Addr().String(), "cookie": l.Cookies()[0], "colour": "blue",
			}},
		})
	})
	mux.HandleFunc("/v1/", func(w http.ResponseWriter, r *http.Request) {
		verb := strings.TrimPrefix(r.URL.Path, "/v1/")
		say("asked", verb)
		if slices.Contains(verbs, verb) {
			io.WriteString(w, "{}")
			return
		}
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"error":"no such request","code":"unsupported","weather":"fine"}`)
	})
	go http.Serve(ctl, mux)
	return s.serveUntilTerm(l)
}

// joinGroup listens as the only member of a group and steers it to itself.
func joinGroup(address string) (*reuse.Listener, error) {
	sock, err := reuse.Config{}.Bind(context.Background(), "tcp", address)
	if err != nil {
		return nil, err
	}
	l, err := sock.Listen(context.Background())
	if err != nil {
		return nil, err
	}
	return l, errors.Join(l.Attach(reuse.Only(0)), l.Admit())
}

// serveUntilTerm serves as most programs do: SIGTERM ends it by Shutdown.
func (s spec) serveUntilTerm(l net.Listener) error {
	h, err := health.New(health.Options{})
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: s.mux(h)}
	go srv.Serve(l)
	say("ready", "addr="+l.Addr().String())
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	<-term
	say("terminated")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return srv.Shutdown(ctx)
}

// squat takes a name that another user's service uses: Mode is the part of
// the socket's name after "@handover/".
func squat(s spec) error {
	l, err := net.Listen("unix", "@handover/"+s.Mode)
	if err != nil {
		return err
	}
	say("ready", "addr=none")
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		defer c.Close()
	}
}

// certificate makes one that nobody trusts, for 127.0.0.1.
func certificate() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
