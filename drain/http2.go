package drain

import (
	"context"
	"crypto/tls"
	"errors"
	"maps"
	"net"
	"net/http"
)

// Keys of TLSNextProto: ALPN's, and net/http's for HTTP/2 without TLS.
const (
	alpnHTTP2        = "h2"
	unencryptedHTTP2 = "unencrypted_http2"
)

type nextProto = func(*http.Server, *tls.Conn, http.Handler)

// chainHTTP2 notes what connections speak, and makes HTTP/2 ready to be drained:
//
// net/http sends GOAWAY to idle HTTP/2 connections only from Server.Shutdown,
// which also makes it drop requests it has read from HTTP/1 connections. The
// set-up of HTTP/2 registers its connections with the http.Server it was made
// for, whichever server they arrive at: made for a shadow and put in place here,
// the shadow's Shutdown sends GOAWAY and leaves the rest alone.
func (s *server) chainHTTP2() {
	if _, ok := s.http.TLSNextProto[alpnHTTP2]; !ok {
		s.shadowHTTP2()
	}
	if s.http.TLSNextProto == nil {
		return
	}
	// A copy, as the map may be shared with other servers.
	protos := maps.Clone(s.http.TLSNextProto)
	for name, next := range protos {
		protos[name] = s.chainProto(name, next)
	}
	s.http.TLSNextProto = protos
}

func (s *server) chainProto(name string, next nextProto) nextProto {
	unencrypted := s.http.TLSNextProto[unencryptedHTTP2]
	return func(srv *http.Server, tc *tls.Conn, h http.Handler) {
		c := s.d.conns.get(transport(tc))
		switch {
		case name != alpnHTTP2 && name != unencryptedHTTP2:
			c.setProtocol(foreign)
		case s.shadow == nil || unencrypted == nil || c == nil:
			c.setProtocol(http2)
		default:
			s.serveHTTP2(c, name, unencrypted, h)
			return
		}
		next(srv, tc, h)
	}
}

// serveHTTP2 serves c in a form that a notice can be put into. The way in is
// that of HTTP/2 without TLS also for TLS, as it takes any net.Conn.
func (s *server) serveHTTP2(c *conn, name string, serve nextProto, h http.Handler) {
	nc := &noticeConn{Conn: c.nc}
	c.notice.Store(nc)
	c.setProtocol(http2)
	var handed net.Conn = nc
	if tc, ok := c.nc.(*tls.Conn); ok && name == alpnHTTP2 {
		if !readPreface(tc) {
			return // net/http closes it
		}
		handed = noticeTLS{nc, tc}
	}
	serve(s.http, tls.Client(handOff{conn: handed}, nil), h)
}

// handOff carries a connection to where net/http looks for it.
type handOff struct {
	net.Conn // nil: only the method below is called
	conn     net.Conn
}

func (h handOff) UnencryptedNetConn() net.Conn { return h.conn }

// transport returns the connection that tc stands for. For HTTP/2 without TLS,
// net/http wraps the plain one in a *tls.Conn that cannot be used.
func transport(tc *tls.Conn) net.Conn {
	if u, ok := tc.NetConn().(interface{ UnencryptedNetConn() net.Conn }); ok {
		return u.UnencryptedNetConn()
	}
	return tc
}

// accepted returns the connection as the listener gave it, which is how hooks
// know it, from the form HTTP/2 serves it in.
func accepted(nc net.Conn) net.Conn {
	switch c := nc.(type) {
	case *noticeConn:
		return c.Conn
	case noticeTLS:
		return c.tls
	}
	return nc
}

var errNoListener = errors.New("drain: no listener")

// noListener lets Server.ServeTLS do its set-up and end.
type noListener struct{}

func (noListener) Accept() (net.Conn, error) { return nil, errNoListener }
func (noListener) Close() error              { return nil }
func (noListener) Addr() net.Addr            { return &net.TCPAddr{} }

func (s *server) shadowHTTP2() {
	config := new(tls.Config)
	if s.http.TLSConfig != nil {
		config = s.http.TLSConfig.Clone()
	}
	// With a source of certificates ServeTLS reads no files.
	config.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, errNoListener }
	shadow := &http.Server{
		TLSConfig:    config,
		TLSNextProto: maps.Clone(s.http.TLSNextProto),
		Protocols:    s.http.Protocols,
		HTTP2:        s.http.HTTP2,
		IdleTimeout:  s.http.IdleTimeout,
		ReadTimeout:  s.http.ReadTimeout,
		ErrorLog:     s.http.ErrorLog,
	}
	if err := shadow.ServeTLS(noListener{}, "", ""); !errors.Is(err, errNoListener) {
		return // net/http reports it if and when the real server needs it
	}
	if _, ok := shadow.TLSNextProto[alpnHTTP2]; !ok {
		return // disabled by Protocols, TLSNextProto or GODEBUG
	}
	s.shadow = shadow
	s.http.TLSNextProto = shadow.TLSNextProto
}

// goAway sends GOAWAY to all HTTP/2 connections that have not had it. Streams
// that the server has seen go on; a connection closes a second after its last.
func (s *server) goAway() {
	if s.shadow != nil {
		// It has no connections of its own, and returns at once.
		s.shadow.Shutdown(context.Background())
	}
}
