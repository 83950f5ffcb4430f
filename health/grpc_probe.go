package health

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// GRPCProbe asks the standard health service, grpc.health.v1.Health/Check, on a connection of its own. Only SERVING passes.
type GRPCProbe struct {
	// Address is the server's host:port.
	Address string

	// Service is the name to ask about; empty means the server as a whole.
	Service string

	// Dial opens the connection; nil means a plain net.Dialer.
	Dial DialFunc

	// TLS makes the probe use TLS; nil means cleartext. It is not changed.
	TLS *tls.Config
}

// Probe makes the call.
func (p GRPCProbe) Probe(ctx context.Context) error {
	t := p.transport()
	defer t.CloseIdleConnections()
	target := url.URL{Scheme: "http", Host: p.Address, Path: "/grpc.health.v1.Health/Check"}
	if p.TLS != nil {
		target.Scheme = "https"
	}
	req := (&http.Request{
		Method: http.MethodPost,
		URL:    &target,
		Header: http.Header{
			"Content-Type": {"application/grpc"},
			"Te":           {"trailers"},
			"User-Agent":   {"handover-probe"},
		},
	}).WithContext(ctx)
	if deadline, ok := ctx.Deadline(); ok {
		// The protocol allows eight digits.
		req.Header.Set("Grpc-Timeout", strconv.FormatInt(min(max(time.Until(deadline).Milliseconds(), 1), 99_999_999), 10)+"m")
	}
	message := encodeRequest(p.Service)
	req.Body, req.ContentLength = noClose{bytes.NewReader(message)}, int64(len(message))
	resp, err := t.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return decodeResponse(resp)
}

// String returns the probe as [ParseProbe] reads it.
func (p GRPCProbe) String() string {
	s := "grpc://" + p.Address
	if p.TLS != nil {
		s = "grpcs://" + p.Address
		if p.TLS.InsecureSkipVerify {
			s = "grpcs+insecure://" + p.Address
		}
	}
	if p.Service != "" {
		s += "/" + p.Service
	}
	return s
}

// Validate reports an Address that is not host:port, or a Service that is not a name.
func (p GRPCProbe) Validate() error {
	if strings.Contains(p.Service, "/") || oneLine(p.Service) != p.Service {
		return fmt.Errorf("service %q: want a name such as shop.v1.Orders", p.Service)
	}
	return validateAddress(p.Address)
}

func (p GRPCProbe) withDial(dial DialFunc) Probe {
	p.Dial = dial
	return p
}

func (p GRPCProbe) transport() *http.Transport {
	dial := dialer(p.Dial)
	t := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dial(ctx, network, p.Address)
		},
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
		Protocols:              new(http.Protocols),
	}
	if p.TLS == nil {
		t.Protocols.SetUnencryptedHTTP2(true)
		return t
	}
	t.Protocols.SetHTTP2(true)
	t.TLSClientConfig = p.TLS.Clone()
	return t
}

type noClose struct{ *bytes.Reader }

func (noClose) Close() error { return nil }
