package health

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// Probe asks one question about a server's health. Only ctx bounds the time it takes; a [Gate] sets one. The probes of this
// package may be used by several goroutines at once.
//
// A probe may also have a method Validate() error. [Gate.Validate] then calls it.
type Probe interface {
	// Probe asks once and returns nil if the answer was good, else the answer in words, without the probe's own name:
	// "503 Service Unavailable". It returns soon after ctx ends.
	Probe(ctx context.Context) error

	// String names the probe in messages: "GET http://127.0.0.1:8080/readyz".
	String() string
}

// DialFunc connects to an address, as [net.Dialer.DialContext] does. In a probe, nil means a plain net.Dialer.
type DialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// WithDial returns a copy of p that connects through dial. A probe that is not one of this package's network probes is
// returned as it is.
func WithDial(p Probe, dial DialFunc) Probe {
	if p, ok := p.(interface{ withDial(DialFunc) Probe }); ok {
		return p.withDial(dial)
	}
	return p
}

func dialer(dial DialFunc) DialFunc {
	if dial == nil {
		return new(net.Dialer).DialContext
	}
	return dial
}

// FuncProbe probes by calling a function.
type FuncProbe struct {
	Name string                          // names the probe in messages
	Func func(ctx context.Context) error // such as [Health.Ready]
}

// Probe calls Func.
func (p FuncProbe) Probe(ctx context.Context) error { return p.Func(ctx) }

// String returns Name.
func (p FuncProbe) String() string { return p.Name }

// Validate reports a probe without a name or a Func.
func (p FuncProbe) Validate() error {
	switch {
	case p.Name == "":
		return errors.New("no Name")
	case p.Func == nil:
		return errors.New("no Func")
	}
	return nil
}

// TCPProbe connects and hangs up. It passes when the kernel accepts the connection, even if the server behind it hangs.
type TCPProbe struct {
	Address string // host:port
	Dial    DialFunc
}

// Probe connects to Address.
func (p TCPProbe) Probe(ctx context.Context) error {
	c, err := dialer(p.Dial)(ctx, "tcp", p.Address)
	if err != nil {
		return err
	}
	return c.Close()
}

// String returns the probe as [ParseProbe] reads it.
func (p TCPProbe) String() string { return "tcp://" + p.Address }

// Validate reports an Address that is not host:port.
func (p TCPProbe) Validate() error { return validateAddress(p.Address) }

func (p TCPProbe) withDial(dial DialFunc) Probe {
	p.Dial = dial
	return p
}

func validateAddress(address string) error {
	if oneLine(address) != address {
		return fmt.Errorf("address %q: want host:port", clip(address, maxLine))
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if strings.ContainsAny(host, "/@?# ") {
		return fmt.Errorf("address %s: the host is not a name or IP address", address)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("address %s: the port must be a number from 1 to 65535", address)
	}
	return nil
}
