package load

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Load is a running set of clients. Its methods may be called at any time by any goroutine.
type Load struct {
	cfg       Config
	start     time.Time
	recorders map[Pattern]*recorder
	cancel    context.CancelFunc
	done      chan struct{}
	begun     atomic.Uint64

	mu       sync.Mutex
	end      time.Time // zero while the run goes on
	failures []Failure
}

// Run drives the server until ctx ends or cfg's bounds are reached, lets the requests in flight finish and returns what
// happened. The error is about cfg; failed requests are in the result.
func Run(ctx context.Context, cfg Config) (Result, error) {
	l, err := Start(ctx, cfg)
	if err != nil {
		return Result{}, err
	}
	return l.Wait(), nil
}

// Start starts the clients and returns. They begin requests until Stop is called, ctx ends or cfg's MaxDuration or MaxRequests
// is reached. It returns an error, and starts nothing, if cfg can't be used. Once started, the clients end by themselves,
// but only Stop and Wait tell that they have.
func Start(ctx context.Context, cfg Config) (*Load, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	patterns, err := share(cfg.Clients, cfg.Patterns)
	if err != nil {
		return nil, err
	}
	l := &Load{cfg: cfg, start: time.Now(), recorders: make(map[Pattern]*recorder), done: make(chan struct{})}
	clients := l.newClients(patterns)
	ctx, l.cancel = context.WithTimeout(ctx, cfg.MaxDuration)
	var running sync.WaitGroup
	for _, c := range clients {
		running.Go(func() { c.run(ctx) })
	}
	go func() {
		running.Wait()
		l.finish(clients)
	}()
	return l, nil
}

// Stop makes the clients begin no more requests, waits for those in flight, which is bounded by Config.DialTimeout and
// Config.Timeout, and returns what happened. Called again, it returns the same.
func (l *Load) Stop() Result {
	l.cancel()
	return l.Wait()
}

// Wait waits until the run has ended, by whichever of its bounds, and returns what happened.
func (l *Load) Wait() Result {
	<-l.done
	result := Result{Stats: l.Stats(), Start: l.start, Series: make(map[Pattern]Series)}
	l.mu.Lock()
	defer l.mu.Unlock()
	result.Failures = slices.Clone(l.failures)
	for p, r := range l.recorders {
		result.Series[p] = Series{Interval: r.series.Interval, Points: slices.Clone(r.series.Points)}
	}
	return result
}

// Done returns a channel that is closed when the run has ended and all its connections are closed.
func (l *Load) Done() <-chan struct{} { return l.done }

// Stats returns how the run stands, in some ten microseconds: cheap enough to draw a live view from.
func (l *Load) Stats() Stats {
	l.mu.Lock()
	end := l.end
	l.mu.Unlock()
	if end.IsZero() {
		end = time.Now()
	}
	stats := Stats{Elapsed: end.Sub(l.start), Total: newCounts()}
	var latencies histogram
	for _, p := range slices.Sorted(maps.Keys(l.recorders)) {
		counts := l.recorders[p].counts(&latencies)
		stats.Total.add(counts)
		stats.Patterns = append(stats.Patterns, PatternCounts{Pattern: p, Counts: counts})
	}
	stats.Total.Latency = latencyOf(&latencies)
	return stats
}

// newClients returns one client for each element of patterns.
func (l *Load) newClients(patterns []Pattern) []*client {
	clients := make([]*client, len(patterns))
	var shared *http2Conn
	streams := 0
	for i, p := range patterns {
		r := l.recorders[p]
		if r == nil {
			r = newRecorder(l.start, l.cfg.Interval)
			l.recorders[p] = r
		}
		r.clients++
		c := &client{load: l, pattern: p, recorder: r, token: rand.Uint64(), timer: time.NewTimer(0)}
		if specs[p].http2 {
			if streams%l.cfg.StreamsPerConn == 0 {
				shared = newHTTP2Conn(&l.cfg)
			}
			streams++
			c.exchanger = newHTTP2(&l.cfg, p, shared)
		} else {
			c.exchanger = newHTTP1(&l.cfg, p)
		}
		clients[i] = c
	}
	return clients
}

// next reports whether a client may begin one more request.
func (l *Load) next(ctx context.Context) bool {
	if ctx.Err() != nil {
		return false
	}
	return l.cfg.MaxRequests == 0 || l.begun.Add(1) <= l.cfg.MaxRequests
}

// keep keeps a failure's details while there is room for them.
func (l *Load) keep(f Failure) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.failures) < l.cfg.KeepFailures {
		l.failures = append(l.failures, f)
	}
}

// finish ends a run whose clients have all returned.
func (l *Load) finish(clients []*client) {
	l.cancel()
	l.mu.Lock()
	l.end = time.Now()
	l.mu.Unlock()
	for _, c := range clients {
		c.exchanger.close()
	}
	close(l.done)
}
