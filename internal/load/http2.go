package load

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"time"
)

// http2Conn is a Transport for HTTP/2 alone, which holds one connection at a time (and another while that one ends after a
// GOAWAY). Several clients share it.
type http2Conn struct {
	transport *http.Transport
	base      string // of URLs
}

func newHTTP2Conn(cfg *Config) *http2Conn {
	dialer := net.Dialer{Timeout: cfg.DialTimeout, KeepAlive: -1}
	t := &http.Transport{
		DialContext:         dialer.DialContext,
		TLSClientConfig:     tlsFor(cfg, "h2"),
		TLSHandshakeTimeout: cfg.DialTimeout,
		DisableCompression:  true,
		Protocols:           new(http.Protocols),
	}
	scheme := "http://"
	if cfg.TLS != nil {
		scheme = "https://"
		t.Protocols.SetHTTP2(true)
	} else {
		t.Protocols.SetUnencryptedHTTP2(true)
	}
	return &http2Conn{transport: t, base: scheme + cfg.Address}
}

// http2 sends requests as streams of a shared connection.
type http2 struct {
	cfg  *Config
	spec spec
	conn *http2Conn

	want, body []byte
}

func newHTTP2(cfg *Config, p Pattern, conn *http2Conn) *http2 {
	return &http2{
		cfg: cfg, spec: specs[p], conn: conn,
		want: make([]byte, 0, cfg.Size),
		body: make([]byte, cfg.Size+1),
	}
}

func (h *http2) exchange(token uint64) (answer, *exchangeError) {
	start := time.Now()
	var t tracer
	ctx, cancel := context.WithTimeout(t.trace(context.Background()), h.cfg.Timeout+h.spec.serverWait)
	defer cancel()
	h.want = appendBody(h.want[:0], token, cap(h.want))
	a, err := h.try(ctx, token, &t)
	a.resent = max(t.headers.Load(), 1) - 1
	if err != nil {
		if conn := t.conn.Load(); conn != nil {
			err.local = (*conn).LocalAddr()
		}
		return a, err
	}
	a.latency = max(time.Since(start)-h.spec.serverWait, 0)
	return a, nil
}

func (h *http2) try(ctx context.Context, token uint64, t *tracer) (a answer, failed *exchangeError) {
	url := string(appendTarget([]byte(h.conn.base), h.spec.path, token, len(h.want), h.spec.serverWait))
	var upload io.Reader
	if h.spec.method == http.MethodPost {
		// The Transport may still read the body of a request that has failed: it gets its own.
		upload = bytes.NewReader(bytes.Clone(h.want))
	}
	req, err := http.NewRequestWithContext(ctx, h.spec.method, url, upload)
	if err != nil {
		return a, fail(Malformed, "make the request: %w", err)
	}
	res, err := h.conn.transport.RoundTrip(req)
	if err != nil {
		return a, failIn(t.phase(), err)
	}
	// Closing the body of an answer that was not read to its end resets its stream, which is all there is to do.
	defer func() { _ = res.Body.Close() }()
	a.version = res.Header.Get(VersionHeader)
	n, err := readBody(res.Body, h.body)
	switch body := h.body[:n]; {
	case res.ProtoMajor != 2:
		return a, fail(Malformed, "the answer is in %s", res.Proto)
	case res.StatusCode != http.StatusOK:
		return a, wrongStatus(res, body)
	case err != nil:
		return a, failIn(reading, err)
	default:
		if failed := verify(body, h.want, false); failed != nil {
			return a, failed
		}
	}
	return a, nil
}

func (h *http2) close() { h.conn.transport.CloseIdleConnections() }

// tracer learns from the Transport what it does with one request. The Transport calls it from several goroutines.
type tracer struct {
	conn    atomic.Pointer[net.Conn] // the last one the request was given
	headers atomic.Uint64            // how many times its header has been sent
	whole   atomic.Bool              // whether it has been sent to its end
}

// trace returns a context that makes the Transport report to t.
func (t *tracer) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn:      func(info httptrace.GotConnInfo) { t.conn.Store(&info.Conn) },
		WroteHeaders: func() { t.headers.Add(1) },
		WroteRequest: func(info httptrace.WroteRequestInfo) { t.whole.Store(info.Err == nil) },
	})
}

// phase returns how far a request without an answer has come.
func (t *tracer) phase() phase {
	switch {
	case t.whole.Load():
		return awaiting
	case t.conn.Load() != nil:
		return sending
	default:
		return dialing
	}
}

// isGoAway reports whether a connection ended under a request. The Transport's errors for that have no exported names.
func isGoAway(err error) bool {
	text := err.Error()
	return strings.Contains(text, "server sent GOAWAY and closed the connection") ||
		strings.Contains(text, "client connection lost") || strings.Contains(text, "client connection force closed")
}
