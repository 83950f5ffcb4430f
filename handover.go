package handover

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"

	"github.com/gohandover/handover/drain"
)

// ListenAndServe serves handler on addr as [http.ListenAndServe] does, and hands
// over: started beside a running version of the same service it takes over from
// it, and it hands over to the one that is started beside it.
//
// It blocks until this version has been relieved or told to stop by a signal,
// and all that it had begun has ended; then it returns nil, so that the process can
// exit with code 0. An error says that the handover failed, with the running
// version as it was, or what the drain had to cut.
func ListenAndServe(addr string, handler http.Handler) error {
	return Serve(context.Background(), &http.Server{Addr: addr, Handler: handler}, Options{})
}

// ListenAndServeTLS is [ListenAndServe] for HTTPS, with HTTP/2, as
// [http.ListenAndServeTLS].
func ListenAndServeTLS(addr, certFile, keyFile string, handler http.Handler) error {
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return fmt.Errorf("handover: %w", err)
	}
	srv := &http.Server{Addr: addr, Handler: handler, TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}}}
	return Serve(context.Background(), srv, Options{})
}

// Serve is [ListenAndServe] for a server and options of the caller's own. With
// a certificate in srv.TLSConfig it serves HTTPS. The end of ctx acts as
// SIGTERM. Serve wraps srv's Handler and its ConnState and BaseContext hooks;
// srv must not be used for anything else, and its Shutdown not be called.
func Serve(ctx context.Context, srv *http.Server, opts Options) error {
	addr, secure := srv.Addr, isSecure(srv.TLSConfig)
	if addr == "" {
		addr = ":http"
		if secure {
			addr = ":https"
		}
	}
	opts, err := opts.complete([]string{addr})
	if err != nil {
		return err
	}
	if err := opts.Drain.Server(srv); err != nil {
		return fmt.Errorf("handover: %w", err)
	}
	serve, scheme := srv.Serve, "http"
	if secure {
		// The probe is answered by this very process, so there is nobody whose
		// certificate could tell more.
		serve, scheme = func(l net.Listener) error { return srv.ServeTLS(l, "", "") }, "https+insecure"
	}
	p, err := newProcess(opts, "tcp", func(l net.Listener) error {
		return serve(opts.Drain.Hold(l))
	}, scheme)
	if err != nil {
		return err
	}
	return p.run(ctx)
}

func isSecure(c *tls.Config) bool {
	return c != nil && (len(c.Certificates) > 0 || c.GetCertificate != nil || c.GetConfigForClient != nil)
}

// Draining returns a channel that is closed when the version that serves the
// request with the context ctx begins to drain. A handler that would run for
// long (a stream, a WebSocket) watches it and ends in an orderly way. For a
// context of another origin the channel is nil.
func Draining(ctx context.Context) <-chan struct{} { return drain.Draining(ctx) }
