package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"syscall"
	"time"
)

// retryEvery is how long to wait for room in a full accept queue.
const retryEvery = 5 * time.Millisecond

// connect opens a connection to the socket of that name, and lets nothing
// pass over it: who owns the socket is for the caller to check. A full accept
// queue, as of a stopped process under a flood, is waited for.
func connect(ctx context.Context, name string) (*net.UnixConn, cred, error) {
	for {
		conn, err := dialUnix(ctx, name)
		if err == nil {
			c, err := peerCred(conn)
			if err != nil {
				conn.Close()
				return nil, cred{}, err
			}
			return conn, c, nil
		}
		if !errors.Is(err, syscall.EAGAIN) {
			return nil, cred{}, dialError(ctx, err)
		}
		select {
		case <-ctx.Done():
			return nil, cred{}, dialError(ctx, ctx.Err())
		case <-time.After(retryEvery):
		}
	}
}

// dialError tells the two ends of a peer apart: gone, or there and silent.
func dialError(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: nobody listens there", ErrGone)
	case ctx.Err() != nil:
		return ctxError(ctx)
	}
	return err
}

// ctxError explains why a call ended before there was an answer.
func ctxError(ctx context.Context) error {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return context.Cause(ctx)
	}
	return fmt.Errorf("%w: it may be stopped or hung: %w", ErrDeaf, ctx.Err())
}

// cutOff reports whether err is that of a connection closed by the other end.
func cutOff(err error) bool {
	for _, target := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}
