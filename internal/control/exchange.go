package control

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// exchange is one request and its answer over a connection of its own. It is
// written over net/http's wire format without its Transport, so that there is
// no pool and no goroutine, and that all that is read is bounded.
type exchange struct {
	name string
	conn *net.UnixConn
	stop func() bool // ends the watch over the context

	limit *io.LimitedReader // over conn
	buf   *bufio.Reader     // over limit
	resp  *http.Response
}

func newExchange(ctx context.Context, conn *net.UnixConn, name string) *exchange {
	x := &exchange{name: name, conn: conn}
	x.stop = context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	x.limit = &io.LimitedReader{R: conn, N: maxHeader}
	x.buf = bufio.NewReader(x.limit)
	return x
}

// send writes the request and reads the header of the answer.
func (x *exchange) send(req *http.Request) error {
	// A server that turned the request away may have said why before it closed
	// the connection under the write: only the read decides.
	writeErr := req.Write(x.conn)
	resp, err := http.ReadResponse(x.buf, req)
	switch {
	case err == nil:
		x.resp = resp
		return nil
	case x.limit.N <= 0:
		return fmt.Errorf("%w: the header of its answer is longer than %d bytes", ErrProtocol, maxHeader)
	case writeErr != nil:
		return writeErr
	}
	return notHTTP(err)
}

// notHTTP marks what the parser, and not the connection, has to say.
func notHTTP(err error) error {
	if _, ok := errors.AsType[*net.OpError](err); ok || cutOff(err) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrProtocol, err)
}

// readAll returns the body, or an error if it is longer than limit.
func (x *exchange) readAll(limit int64) ([]byte, error) {
	x.limit.N = 2*limit + maxHeader // for the marks between chunks
	body, err := io.ReadAll(io.LimitReader(x.resp.Body, limit+1))
	if err == nil && int64(len(body)) > limit {
		return nil, fmt.Errorf("%w: its answer is longer than %d bytes", ErrProtocol, limit)
	}
	if err != nil {
		return nil, notHTTP(err)
	}
	return body, nil
}

// explain says what an error in the exchange means for the peer.
func (x *exchange) explain(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctxError(ctx)
	case errors.Is(err, ErrProtocol), !cutOff(err):
		return err
	}
	// Either it died, or it has no place for one more.
	again, _, dialErr := connect(ctx, x.name)
	if dialErr != nil {
		return dialErr
	}
	again.Close()
	return fmt.Errorf("%w: it closed the connection without an answer", ErrBusy)
}

func (x *exchange) close() {
	x.stop()
	x.conn.Close()
}
