package control

import (
	"cmp"
	"context"
	"sync"
	"time"
)

// QueryOptions are the settings of [QueryAll].
type QueryOptions struct {
	Timeout  time.Duration // for each peer. Zero: one second
	Parallel int           // peers asked at a time. Zero: 16
	AnyUID   bool          // as in [ClientOptions]
}

// Answer is what became of one question. Err is as of [Client.Status]: gone,
// deaf, squatted...
type Answer struct {
	Peer   Peer
	Status Status // zero where Err is not nil
	Err    error
}

// QueryAll asks all peers for their status and returns the answers in the order
// of peers.
func QueryAll(ctx context.Context, peers []Peer, opts QueryOptions) []Answer {
	answers := make([]Answer, len(peers))
	places := make(chan struct{}, max(1, cmp.Or(opts.Parallel, 16)))
	var wg sync.WaitGroup
	for i, p := range peers {
		places <- struct{}{}
		wg.Go(func() {
			defer release(places)
			ctx, cancel := context.WithTimeout(ctx, cmp.Or(opts.Timeout, time.Second))
			defer cancel()
			st, err := NewClient(p, ClientOptions{AnyUID: opts.AnyUID}).Status(ctx)
			answers[i] = Answer{Peer: p, Status: st, Err: err}
		})
	}
	wg.Wait()
	return answers
}
