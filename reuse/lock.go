package reuse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// A Lock is held by whoever changes a service's groups: one holder for each
// service and user, in one network namespace. It is an abstract unix socket, so
// it ends with its holder, however that ends, and containers that share a
// network namespace share it, as they share the ports.
type Lock struct{ l net.Listener }

// A LockedError says who holds a service's lock.
type LockedError struct {
	Service string
	UID     int
	PID     int // 0 if the holder is in another PID namespace
}

// Error names the holder and, where it is a stranger, what that means.
func (e *LockedError) Error() string {
	who := fmt.Sprintf("pid %d", e.PID)
	if e.PID == 0 {
		who = "a process of another PID namespace"
	}
	if e.UID != lockUID && e.UID != 0 {
		return fmt.Sprintf("reuse: lock of service %s: its name %q is squatted by uid %d, %s: end that process, or give the service another name",
			e.Service, lockName(e.Service), e.UID, who)
	}
	return fmt.Sprintf("reuse: another handover of service %s is under way, by %s", e.Service, who)
}

// ErrLocked is what a *LockedError Is.
var ErrLocked = errors.New("reuse: the service is locked")

// Is makes errors.Is(err, ErrLocked) hold.
func (e *LockedError) Is(target error) bool { return target == ErrLocked }

func (e *LockedError) squatted() bool { return e.UID != lockUID && e.UID != 0 }

// lockRetry is the pause after a try that told neither yes nor who holds it.
const lockRetry = 20 * time.Millisecond

// TryLock takes the service's lock, or returns a *LockedError that tells who
// has it.
func TryLock(service string) (*Lock, error) {
	l, err := net.Listen("unix", lockName(service))
	if err == nil {
		return &Lock{l: l}, nil
	}
	if !errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("reuse: lock of service %s: %w", service, err)
	}
	c, held, err := lockHolder(service)
	if err != nil {
		return nil, err
	}
	if c != nil {
		c.Close()
	}
	return nil, held
}

// AcquireLock waits for the service's lock until ctx ends; then the error
// wraps both ctx's cause and a *LockedError. A lock squatted by another user is not
// waited for. Waiters get it in no particular order. waiting, if not nil, is
// told whenever the wait is for another holder.
func AcquireLock(ctx context.Context, service string, waiting func(*LockedError)) (*Lock, error) {
	for {
		l, err := TryLock(service)
		var held *LockedError
		if isOutOfFiles(err) {
			held = &LockedError{Service: service, UID: lockUID}
		} else if !errors.As(err, &held) || held.squatted() {
			return l, err
		}
		if waiting != nil {
			waiting(held)
		}
		if err := awaitHolder(ctx, service); err != nil {
			return nil, fmt.Errorf("%w: %w", held, err)
		}
	}
}

// awaitHolder returns when the lock's holder may have gone. The holder never
// accepts; its end ends the connection.
func awaitHolder(ctx context.Context, service string) error {
	c, _, err := lockHolder(service)
	if err != nil && !isOutOfFiles(err) {
		return err
	}
	if c == nil {
		select {
		case <-time.After(lockRetry):
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	io.Copy(io.Discard, c)
	return context.Cause(ctx)
}

// lockHolder connects to the holder to see who it is. The connection is nil if
// the holder has just gone, or has so many waiters that no more are taken.
func lockHolder(service string) (net.Conn, *LockedError, error) {
	held := &LockedError{Service: service, UID: lockUID}
	c, err := net.Dial("unix", lockName(service))
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EAGAIN) {
		return nil, held, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("reuse: lock of service %s: %w", service, err)
	}
	uid, pid, err := peerOf(c.(*net.UnixConn))
	if err != nil {
		c.Close()
		return nil, nil, fmt.Errorf("reuse: lock of service %s: %w", service, err)
	}
	held.UID, held.PID = uid, pid
	return c, held, nil
}

// isOutOfFiles tells of a lack of descriptors, which passes.
func isOutOfFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// Unlock gives the lock to the next. Unlocking again does nothing.
func (l *Lock) Unlock() { l.l.Close() }

func lockName(service string) string {
	return fmt.Sprintf("@handover/%d/%s/lock", lockUID, service)
}

// lockUID is the user the process began as: its sockets are his even if it
// becomes another one later.
var lockUID = os.Geteuid()
