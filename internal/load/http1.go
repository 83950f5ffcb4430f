package load

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// http1 speaks HTTP/1.1 on one connection at a time, and sends nothing twice.
type http1 struct {
	cfg     *Config
	spec    spec
	wait    time.Duration // that belongs to the pattern
	tls     *tls.Config
	request *http.Request // tells http.ReadResponse what it is the answer to

	conn   net.Conn // nil if the next request needs a new one
	served int      // requests answered on conn
	slept  time.Duration

	reader          *bufio.Reader
	out, want, body []byte
}

func newHTTP1(cfg *Config, p Pattern) *http1 {
	s := specs[p]
	size := cfg.Size
	if s.chunked {
		size *= uploadChunks
	}
	return &http1{
		cfg: cfg, spec: s, wait: p.Wait(), tls: tlsFor(cfg, "http/1.1"),
		request: &http.Request{Method: s.method},
		reader:  bufio.NewReader(nil),
		want:    make([]byte, 0, size),
		// One byte more, so that a body that is too long is seen.
		body: make([]byte, size+1),
	}
}

// tlsFor returns a TLS configuration for one application protocol; nil for clear text.
func tlsFor(cfg *Config, protocol string) *tls.Config {
	if cfg.TLS == nil {
		return nil
	}
	c := cfg.TLS.Clone()
	c.NextProtos = []string{protocol}
	if c.ServerName == "" {
		// The address is valid, Start has checked it.
		c.ServerName, _, _ = net.SplitHostPort(cfg.Address)
	}
	return c
}

func (h *http1) exchange(token uint64) (answer, *exchangeError) {
	start := time.Now()
	h.slept = h.spec.serverWait
	h.want = appendBody(h.want[:0], token, cap(h.want))
	a, keep, err := h.try(start, token)
	if err != nil {
		if h.conn != nil {
			err.local, err.served = h.conn.LocalAddr(), h.served
		}
		h.close()
		return a, err
	}
	a.latency = max(time.Since(start)-h.slept, 0)
	h.served++
	if !keep {
		h.close()
	}
	return a, nil
}

// try sends a request and reads its answer. It reports whether the connection may be kept.
func (h *http1) try(start time.Time, token uint64) (a answer, keep bool, failed *exchangeError) {
	if h.conn == nil {
		if failed := h.dial(); failed != nil {
			return a, false, failed
		}
	}
	if err := h.conn.SetDeadline(start.Add(h.cfg.Timeout + h.wait)); err != nil {
		return a, false, failIn(sending, err)
	}
	if err := h.send(token); err != nil {
		return a, false, failIn(sending, err)
	}
	return h.receive()
}

func (h *http1) dial() *exchangeError {
	ctx, cancel := context.WithTimeout(context.Background(), h.cfg.DialTimeout)
	defer cancel()
	// Keep-alive probes would cost system calls, and every wait has a deadline already.
	dialer := net.Dialer{KeepAlive: -1}
	conn, err := dialer.DialContext(ctx, "tcp", h.cfg.Address)
	if err != nil {
		return failIn(dialing, err)
	}
	h.conn, h.served = conn, 0
	if h.tls == nil {
		h.sleepIf(h.spec.late, lateWait)
	} else if err := h.handshake(); err != nil {
		return failIn(dialing, err)
	}
	h.reader.Reset(h.conn)
	return nil
}

// handshake makes the connection a TLS connection.
func (h *http1) handshake() error {
	h.sleepIf(h.spec.late, lateWait/2)
	ctx, cancel := context.WithTimeout(context.Background(), h.cfg.DialTimeout)
	defer cancel()
	conn := tls.Client(h.conn, h.tls)
	if err := conn.HandshakeContext(ctx); err != nil {
		return err
	}
	h.conn = conn
	h.sleepIf(h.spec.late, lateWait/2)
	return nil
}

// send writes the request.
func (h *http1) send(token uint64) error {
	h.out = append(h.out[:0], h.spec.method...)
	h.out = append(h.out, ' ')
	h.out = appendTarget(h.out, h.spec.path, token, len(h.want), h.spec.serverWait)
	h.out = append(h.out, " HTTP/1.1\r\nHost: "...)
	h.out = append(h.out, h.cfg.Address...)
	if h.spec.oneShot {
		h.out = append(h.out, "\r\nConnection: close"...)
	}
	switch {
	case h.spec.chunked:
		h.out = append(h.out, "\r\nTransfer-Encoding: chunked\r\n\r\n"...)
		return h.sendChunks()
	case h.spec.method == http.MethodPost:
		h.out = append(h.out, "\r\nContent-Length: "...)
		h.out = strconv.AppendInt(h.out, int64(len(h.want)), 10)
		h.out = append(h.out, "\r\n\r\n"...)
		h.out = append(h.out, h.want...)
	default:
		h.out = append(h.out, "\r\n\r\n"...)
	}
	_, err := h.conn.Write(h.out)
	return err
}

// sendChunks writes what is in out so far and then the body, chunk by chunk.
func (h *http1) sendChunks() error {
	size := len(h.want) / uploadChunks
	for i := range uploadChunks {
		h.out = strconv.AppendInt(h.out, int64(size), 16)
		h.out = append(h.out, "\r\n"...)
		h.out = append(h.out, h.want[i*size:(i+1)*size]...)
		h.out = append(h.out, "\r\n"...)
		if i == uploadChunks-1 {
			h.out = append(h.out, "0\r\n\r\n"...)
		}
		if _, err := h.conn.Write(h.out); err != nil {
			return err
		}
		h.out = h.out[:0]
		h.sleepIf(i < uploadChunks-1, uploadWait/(uploadChunks-1))
	}
	return nil
}

// receive reads the answer and checks it.
func (h *http1) receive() (a answer, keep bool, failed *exchangeError) {
	if _, err := h.reader.Peek(1); err != nil {
		return a, false, failIn(awaiting, err)
	}
	res, err := http.ReadResponse(h.reader, h.request)
	if err != nil {
		return a, false, failIn(reading, err)
	}
	a.version = res.Header.Get(VersionHeader)
	n, err := readBody(res.Body, h.body)
	switch body := h.body[:n]; {
	case res.StatusCode != http.StatusOK:
		return a, false, wrongStatus(res, body)
	case err != nil:
		return a, false, failIn(reading, err)
	default:
		if failed := verify(body, h.want, res.ContentLength < 0 && res.TransferEncoding == nil); failed != nil {
			return a, false, failed
		}
	}
	if n := h.reader.Buffered(); n > 0 {
		return a, false, fail(WrongBody, "%d bytes after the end of the answer", n)
	}
	return a, !res.Close && !h.spec.oneShot, nil
}

func (h *http1) close() {
	if h.conn != nil {
		// What the close of a connection that is no longer needed says changes nothing.
		_ = h.conn.Close()
		h.conn = nil
	}
}

// sleepIf waits, and keeps what it took out of the latency.
func (h *http1) sleepIf(cond bool, d time.Duration) {
	if cond {
		start := time.Now()
		time.Sleep(d)
		h.slept += time.Since(start)
	}
}

// readBody reads into buf until r ends or buf is full, and returns how many bytes it read.
func readBody(r io.Reader, buf []byte) (int, error) {
	n := 0
	for n < len(buf) {
		m, err := r.Read(buf[n:])
		n += m
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// wrongStatus returns the error for a status other than 200, with the beginning of what the server said.
func wrongStatus(res *http.Response, body []byte) *exchangeError {
	return fail(WrongStatus, "status %s: %.200q", res.Status, body)
}
