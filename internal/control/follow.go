package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
)

// Events yields the agent's recent events and then those that happen, until
// the agent goes, ctx ends or the loop is left. The end of the agent is the end
// of the loop; anything else is yielded as a last element with an error, also
// that this reader was too slow and was cut off.
func (c *Client) Events(ctx context.Context) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		x, err := c.exchange(ctx, http.MethodGet, VerbEvents, nil)
		if err != nil {
			yield(Event{}, c.wrap(VerbEvents, err))
			return
		}
		defer x.close()
		if err := x.follow(ctx, yield); err != nil {
			yield(Event{}, c.wrap(VerbEvents, err))
		}
	}
}

// follow yields the lines of the answer. It returns nil after a proper end,
// and when yield wants no more.
func (x *exchange) follow(ctx context.Context, yield func(Event, error) bool) error {
	if x.resp.StatusCode/100 != 2 {
		body, err := x.readAll(maxReply)
		if err != nil {
			return x.explain(ctx, err)
		}
		return readError(x.resp.StatusCode, body)
	}
	lines := bufio.NewReaderSize(x.resp.Body, maxEvent)
	for {
		x.limit.N = 2*maxEvent + maxHeader
		line, err := lines.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return fmt.Errorf("%w: an event of more than %d bytes", ErrProtocol, maxEvent)
		case err == io.EOF && len(line) == 0:
			return nil
		case err != nil:
			return x.explainEnd(ctx, err)
		}
		var ev Event
		if err := json.Unmarshal(line, &ev); err != nil {
			return fmt.Errorf("%w: %w", ErrProtocol, err)
		}
		if !yield(ev, nil) {
			return nil
		}
	}
}

// explainEnd says why a stream broke off. A killed agent sends no last chunk
// either, but it is gone.
func (x *exchange) explainEnd(ctx context.Context, err error) error {
	if err = x.explain(ctx, err); errors.Is(err, ErrBusy) {
		return fmt.Errorf("%w: events came faster than they were read", ErrBusy)
	}
	return err
}
