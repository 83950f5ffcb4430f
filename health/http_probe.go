package health

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
)

// maxBody bounds, in bytes, what a probe reads of an answer.
const maxBody = 4 << 10

var (
	_ Probe = HTTPProbe{}
	_ Probe = GRPCProbe{}
	_ Probe = TCPProbe{}
	_ Probe = ExecProbe{}
	_ Probe = FuncProbe{}
)

// HTTPProbe sends one request, on a connection of its own. Redirects are not followed: a 3xx is an answer. No proxy is used.
type HTTPProbe struct {
	// URL is http:// or https://. A user name and password in it are sent, and the password is not shown.
	URL string

	// Host replaces the URL's host in the request, and as the name asked of a TLS server; empty means the URL's.
	Host string

	// Header is added to the request.
	Header http.Header

	// Method is the request's method; empty means GET.
	Method string

	// Expect lists the status codes that pass; none means 200 to 399.
	Expect []int

	// Dial opens the connection; nil means a plain net.Dialer.
	Dial DialFunc

	// TLS configures https; nil means the system's roots. It is not changed.
	TLS *tls.Config
}

// Probe sends the request. The error of an unexpected status holds the line of the body that tells most: the failed checks where it
// lists checks ("[-]db failed: ..."), else its first line.
func (p HTTPProbe) Probe(ctx context.Context) error {
	req, err := p.request(ctx)
	if err != nil {
		return err
	}
	t := p.transport()
	defer t.CloseIdleConnections()
	resp, err := t.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if p.expects(resp.StatusCode) {
		// Hanging up on an unread body would reset the connection. One that may never end is not waited for.
		if resp.ContentLength <= maxBody {
			_, _ = io.CopyN(io.Discard, resp.Body, max(resp.ContentLength, 0))
		}
		return nil
	}
	status := fmt.Sprintf("%d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	if location := resp.Header.Get("Location"); location != "" {
		status += " to " + oneLine(location)
	}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxBody)) // what came is told, all or not
	return errors.New(with(status, telling(string(body))))
}

// String returns the method and the URL, without a password.
func (p HTTPProbe) String() string {
	method := p.Method
	if method == "" {
		method = http.MethodGet
	}
	target := redact(p.URL)
	if p.Host != "" {
		target += " (host " + p.Host + ")"
	}
	return method + " " + target
}

// Validate reports a malformed URL or method, or a status code in Expect that is none.
func (p HTTPProbe) Validate() error {
	req, err := p.request(context.Background())
	if err != nil {
		return err
	}
	if s := req.URL.Scheme; s != "http" && s != "https" {
		return fmt.Errorf("URL %s: want http:// or https://", req.URL.Redacted())
	}
	if req.URL.Hostname() == "" {
		return fmt.Errorf("URL %s: no host", req.URL.Redacted())
	}
	for _, code := range p.Expect {
		if code < 200 || code > 599 {
			return fmt.Errorf("status %d in Expect: want 200 to 599", code)
		}
	}
	return nil
}

func (p HTTPProbe) withDial(dial DialFunc) Probe {
	p.Dial = dial
	return p
}

func (p HTTPProbe) expects(status int) bool {
	if len(p.Expect) == 0 {
		return status >= 200 && status <= 399
	}
	return slices.Contains(p.Expect, status)
}

func (p HTTPProbe) request(ctx context.Context) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, p.Method, p.URL, nil)
	if err != nil {
		return nil, withoutURL(err)
	}
	if p.Header != nil {
		req.Header = p.Header.Clone()
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "handover-probe")
	}
	if u := req.URL.User; u != nil && req.Header.Get("Authorization") == "" {
		password, _ := u.Password()
		req.SetBasicAuth(u.Username(), password)
	}
	if p.Host != "" {
		req.Host = p.Host
	}
	return req, nil
}

// transport is new for each request: a connection that is kept would go on reaching the server it was opened to.
func (p HTTPProbe) transport() *http.Transport {
	config := new(tls.Config)
	if p.TLS != nil {
		config = p.TLS.Clone()
	}
	if p.Host != "" && config.ServerName == "" {
		config.ServerName = p.Host
		if host, _, err := net.SplitHostPort(p.Host); err == nil {
			config.ServerName = host
		}
	}
	return &http.Transport{
		DialContext:            dialer(p.Dial),
		TLSClientConfig:        config,
		DisableKeepAlives:      true,
		DisableCompression:     true,
		ForceAttemptHTTP2:      true,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// withoutURL drops the URL from a parse error: the URL may hold a password.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return fmt.Errorf("malformed URL: %w", e.Err)
	}
	return err
}
