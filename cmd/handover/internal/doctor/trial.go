package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/gohandover/handover/internal/control"
	"github.com/gohandover/handover/reuse"
)

// trialTimeout bounds each trial. They take milliseconds.
const trialTimeout = 10 * time.Second

// sockets tries what versions find and exclude each other by.
func (e *exam) sockets(ctx context.Context) {
	name := "doctor-" + control.NewInstance()
	server, err := control.Listen(name, control.Options{})
	if err != nil {
		e.add(Fail, "control socket", err.Error(), remedy(err))
		return
	}
	defer server.Close()
	peers, err := control.Peers(ctx, name)
	if err == nil && len(peers) == 0 {
		err = errors.New("an abstract unix socket was opened and can't be seen in /proc/net/unix")
	}
	if err != nil {
		e.add(Fail, "control socket", err.Error(), remedy(err))
		return
	}
	lock, err := reuse.TryLock(name)
	if err != nil {
		e.add(Fail, "control socket", err.Error(), remedy(err))
		return
	}
	lock.Unlock()
	e.ok("control socket", "versions find and lock out each other by abstract unix sockets")
}

// trials performs a handover between two sockets, over IPv4 and IPv6.
func (e *exam) trials(ctx context.Context) {
	e.trial(ctx, "steering IPv4", "tcp4", "127.0.0.1:0")
	if l, err := net.Listen("tcp6", "[::1]:0"); err != nil {
		e.add(Warn, "steering IPv6", fmt.Sprintf("no loopback address ::1 here (%v)", err), "nothing, for services that need only IPv4")
		return
	} else {
		l.Close()
	}
	e.trial(ctx, "steering IPv6", "tcp6", "[::1]:0")
}

func (e *exam) trial(ctx context.Context, about, network, address string) {
	ctx, cancel := context.WithTimeoutCause(ctx, trialTimeout, fmt.Errorf("no end after %v", trialTimeout))
	defer cancel()
	took, err := handOver(ctx, network, address)
	if err != nil {
		e.add(Fail, about, err.Error(), remedy(err))
		return
	}
	e.ok(about, "moving connections from one socket to another took %v, looking included; guard, loopback mark, sock_diag and flush work", took.Round(time.Microsecond))
}

// handOver does between two sockets of this process what a handover does
// between two processes, and returns how long the cutover took.
func handOver(ctx context.Context, network, address string) (time.Duration, error) {
	old, err := listen(ctx, network, address)
	if err != nil {
		return 0, err
	}
	defer old.Close()
	if err := serveAlone(ctx, old); err != nil {
		return 0, err
	}
	next, err := listen(ctx, network, old.Addr().String())
	if err != nil {
		return 0, err
	}
	defer next.Close()
	if _, err := next.Index(ctx); err != nil {
		return 0, fmt.Errorf("find one's place in the group by the loopback mark: %w", err)
	}
	if err := reach(ctx, old, "a connection went to a socket that is guarded"); err != nil {
		return 0, err
	}
	began := time.Now()
	if err := next.Take(ctx); err != nil {
		return 0, fmt.Errorf("cutover: %w", err)
	}
	took := time.Since(began)
	if err := reach(ctx, next, "the cutover had no effect"); err != nil {
		return 0, err
	}
	return took, leave(ctx, old)
}

func listen(ctx context.Context, network, address string) (*reuse.Listener, error) {
	s, err := reuse.Config{}.Bind(ctx, network, address)
	if err != nil {
		return nil, err
	}
	l, err := s.Listen(ctx)
	if err != nil {
		s.Close()
	}
	return l, err
}

// serveAlone makes l the one that gets the connections.
func serveAlone(ctx context.Context, l *reuse.Listener) error {
	if err := l.Attach(reuse.Only(0)); err != nil {
		return err
	}
	if err := l.Admit(); err != nil {
		return err
	}
	return reach(ctx, l, "a connection did not arrive")
}

// reach tells whether an ordinary connection gets to l.
func reach(ctx context.Context, l *reuse.Listener, otherwise string) error {
	ok, err := l.Reach(ctx)
	if err == nil && !ok {
		err = errors.New(otherwise)
	}
	return err
}

// leave looks at the group and empties old's queue.
func leave(ctx context.Context, old *reuse.Listener) error {
	g, err := reuse.Look(ctx, old.Group())
	if err != nil {
		return err
	}
	if len(g.Members) != 2 {
		return fmt.Errorf("sock_diag shows %d listeners on %s where there are 2", len(g.Members), old.Group())
	}
	if _, err := reuse.Flush(ctx, old); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	return nil
}

// remedy is what can be done about an error of the kernel.
func remedy(err error) string {
	switch {
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES):
		return "the kernel, a seccomp profile or a security module forbids it to this user: allow abstract unix sockets, netlink sockets (NETLINK_SOCK_DIAG) and the socket options SO_REUSEPORT, IP_MINTTL and SO_ATTACH_REUSEPORT_CBPF"
	case errors.Is(err, syscall.ENOPROTOOPT), errors.Is(err, syscall.EPROTONOSUPPORT), errors.Is(err, syscall.EAFNOSUPPORT):
		return "this kernel, or what stands for it in a sandbox, has not got it: use another one"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return "raise the limit of open files (ulimit -n)"
	}
	return "see docs/how-it-works.md for what is needed, and report it with the kernel's version if that is there"
}
