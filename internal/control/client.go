package control

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

const (
	maxReply = 1 << 20 // of a verb of this protocol
	maxExtra = 8 << 20 // of a verb beyond it
)

// ClientOptions are the settings of [NewClient].
type ClientOptions struct {
	// AnyUID lets root talk to agents of every user, as for a listing. A
	// coordinator leaves it false: members of one group have one owner.
	AnyUID bool
}

// Client asks one agent. Each call makes a connection of its own, checks who
// owns the socket before it sends a byte, and ends with its context: it has no
// other time limit. Methods may be called concurrently; there is nothing to
// close.
//
// Errors name the request and the socket. Besides an [*Error] that the agent
// sent, they are [ErrSquatted], [ErrGone], [ErrDeaf], [ErrBusy] or
// [ErrProtocol], or what ended the context.
type Client struct {
	peer Peer
	opts ClientOptions
	id   func() identity
}

// NewClient returns a client for peer. It does not connect yet.
func NewClient(peer Peer, opts ClientOptions) *Client {
	return &Client{peer: peer, opts: opts, id: self}
}

// Peer returns whom this client asks.
func (c *Client) Peer() Peer { return c.peer }

// Status asks for the generation's status. An agent whose protocol version is
// newer is no error.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var st Status
	if err := c.call(ctx, http.MethodGet, VerbStatus, nil, &st); err != nil {
		return Status{}, err
	}
	if st.Protocol < 1 {
		return Status{}, c.wrap(VerbStatus, fmt.Errorf("%w: no protocol version in its status", ErrProtocol))
	}
	return st, nil
}

// Hold is [Agent.Hold] of the peer.
func (c *Client) Hold(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, VerbHold, empty{}, nil)
}

// Park is [Agent.Park] of the peer.
func (c *Client) Park(ctx context.Context, req ParkRequest) error {
	return c.call(ctx, http.MethodPost, VerbPark, req, nil)
}

// Resume is [Agent.Resume] of the peer.
func (c *Client) Resume(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, VerbResume, empty{}, nil)
}

// Drain is [Agent.Drain] of the peer. It takes as long as the flush: let ctx
// allow some seconds more than req.FlushTimeout.
func (c *Client) Drain(ctx context.Context, req DrainRequest) (DrainReply, error) {
	var reply DrainReply
	err := c.call(ctx, http.MethodPost, VerbDrain, req, &reply)
	return reply, err
}

// Stop is [Agent.Stop] of the peer.
func (c *Client) Stop(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, VerbStop, empty{}, nil)
}

// Get asks for one of [Options.Extra] and returns at most 8 MiB; more is an
// error.
func (c *Client) Get(ctx context.Context, verb string) ([]byte, error) {
	body, err := c.ask(ctx, http.MethodGet, verb, nil, maxExtra)
	if err != nil {
		return nil, c.wrap(verb, err)
	}
	return body, nil
}

// call sends in, nil for no body, and reads the answer into out, unless nil.
func (c *Client) call(ctx context.Context, method, verb string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return c.wrap(verb, err)
		}
	}
	answer, err := c.ask(ctx, method, verb, body, maxReply)
	if err != nil {
		return c.wrap(verb, err)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return c.wrap(verb, fmt.Errorf("%w: %w", ErrProtocol, err))
	}
	return nil
}

// ask returns the body of a successful answer.
func (c *Client) ask(ctx context.Context, method, verb string, body []byte, limit int64) ([]byte, error) {
	x, err := c.exchange(ctx, method, verb, body)
	if err != nil {
		return nil, err
	}
	defer x.close()
	answer, err := x.readAll(limit)
	if err != nil {
		return nil, x.explain(ctx, err)
	}
	if x.resp.StatusCode/100 != 2 {
		return nil, readError(x.resp.StatusCode, answer)
	}
	return answer, nil
}

// exchange connects, checks the owner, sends a request and reads the header of
// the answer. The caller closes what it returns.
func (c *Client) exchange(ctx context.Context, method, verb string, body []byte) (*exchange, error) {
	conn, owner, err := connect(ctx, c.peer.Name)
	if err != nil {
		return nil, err
	}
	if err := c.id().check(c.peer.Name, owner.uid, c.opts.AnyUID); err != nil {
		conn.Close()
		return nil, err
	}
	req, err := http.NewRequest(method, "http://handover"+pathPrefix+verb, bytes.NewReader(body))
	if err != nil {
		conn.Close()
		return nil, err
	}
	req.Close = true
	x := newExchange(ctx, conn, c.peer.Name)
	if err := x.send(req); err != nil {
		x.close()
		return nil, x.explain(ctx, err)
	}
	return x, nil
}

func (c *Client) wrap(verb string, err error) error {
	return fmt.Errorf("ask %s for %s: %w", c.peer.Name, verb, err)
}
