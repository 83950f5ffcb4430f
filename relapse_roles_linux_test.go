package handover_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/libp2p/go-reuseport"

	"github.com/gohandover/handover"
	"github.com/gohandover/handover/health"
)

func init() {
	roles["breaks"] = serveBroken
	roles["supervisor"] = supervise
}

// serveBroken is a server that stops at once: for Mode "tls" because HTTP/2
// wants another cipher suite, else because it is closed at the turn of that name.
func serveBroken(s spec) error {
	o, err := s.options()
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: s.mux(o.Health)}
	switch s.Mode {
	case "tls":
		srv.TLSConfig = &tls.Config{
			Certificates: []tls.Certificate{certificate()},
			CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384},
		}
	case "starting":
		o.Hooks.BeforeStart = func(context.Context) error { return srv.Close() }
	case "checked":
		check := func(context.Context) error { return srv.Close() }
		if o.Health, err = health.New(health.Options{Checks: []health.Check{{Name: "db", Func: check}}}); err != nil {
			return err
		}
	}
	return handover.Serve(context.Background(), srv, o)
}

// supervise holds the service's socket itself and starts a version that is to
// take it over, of which it tells how it ended.
func supervise(s spec) error {
	lc := net.ListenConfig{Control: reuseport.Control}
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(context.Background(), "tcp", s.Addresses[0])
	if err != nil {
		return err
	}
	h, err := health.New(health.Options{})
	if err != nil {
		return err
	}
	go http.Serve(l, s.mux(h))
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	go func() {
		<-term
		say("terminated")
		os.Exit(0)
	}()
	child := s
	child.Role, child.Version, child.Addresses = "http", "child", []string{l.Addr().String()}
	text, err := json.Marshal(child)
	if err != nil {
		return err
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), roleVariable+"="+string(text))
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil { // which ends the child when this process ends
		return err
	}
	say("ready", "addr="+l.Addr().String())
	if err := cmd.Run(); cmd.ProcessState == nil {
		return err
	}
	say("child ended", cmd.ProcessState.ExitCode())
	select {}
}
