package load

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// MaxClients is the most clients one Load may have.
const MaxClients = 4096

// Config says what to send, where and for how long. Only Address is required.
type Config struct {
	// Address is the IP address and port of the server, such as "127.0.0.1:8080" or "[::1]:8080". Host names are refused:
	// dialing one may try several addresses in turn, which would be a retry.
	Address string

	// TLS is what clients trust and offer. They set the protocols to negotiate themselves. nil means clear text, which for
	// the HTTP/2 patterns is h2c.
	TLS *tls.Config

	// Clients is how many clients there are, at most MaxClients. Zero means 52.
	Clients int

	// Patterns holds the share of the clients that each pattern gets, as weights. Each pattern named with a weight above
	// zero gets at least one client. nil means HTTP1().
	Patterns map[Pattern]int

	// Size is the number of bytes in the body of an answer, and in each of the 8 chunks of a chunked upload. Zero means 512.
	Size int

	// Pause is how long a client pauses between two requests, on average; single pauses differ by up to a half, so that clients
	// don't march in step. Zero means 2 ms, below zero none. After a failed request the pause is at least 10 ms, so that
	// a closed port isn't hammered.
	Pause time.Duration

	// DialTimeout bounds making a connection, and then its TLS handshake. Zero means 5 s.
	DialTimeout time.Duration

	// Timeout bounds a request from its beginning to the last byte of its answer, beyond the waits of its pattern.
	// Zero means 10 s.
	Timeout time.Duration

	// MaxDuration is when clients stop beginning requests by themselves. Zero means one hour.
	MaxDuration time.Duration

	// MaxRequests is how many requests are sent in all. Zero means as many as there is time for.
	MaxRequests uint64

	// StreamsPerConn is how many clients share one HTTP/2 connection. Zero means 8.
	StreamsPerConn int

	// KeepFailures is how many failures are kept with their details, the first ones. Zero means 100, below zero none.
	KeepFailures int

	// Interval is the width of the steps in which Result.Series is kept. Zero means 100 ms.
	Interval time.Duration
}

// withDefaults returns the configuration with its zero values replaced, or an error that says what is wrong with it.
func (c Config) withDefaults() (Config, error) {
	if _, err := netip.ParseAddrPort(c.Address); err != nil {
		return c, fmt.Errorf("load: address %q is not an IP address and a port, such as 127.0.0.1:8080: %w", c.Address, err)
	}
	if c.Patterns == nil {
		c.Patterns = HTTP1()
	}
	setDefault(&c.Clients, 52)
	setDefault(&c.Size, 512)
	setDefault(&c.Pause, 2*time.Millisecond)
	setDefault(&c.DialTimeout, 5*time.Second)
	setDefault(&c.Timeout, 10*time.Second)
	setDefault(&c.MaxDuration, time.Hour)
	setDefault(&c.StreamsPerConn, 8)
	setDefault(&c.KeepFailures, 100)
	setDefault(&c.Interval, 100*time.Millisecond)
	c.Pause = max(c.Pause, 0)
	c.KeepFailures = max(c.KeepFailures, 0)
	switch {
	case c.Clients < 1 || c.Clients > MaxClients:
		return c, fmt.Errorf("load: %d clients: want 1 to %d", c.Clients, MaxClients)
	case c.Size < 1 || c.Size > maxSize:
		return c, fmt.Errorf("load: size of %d bytes: want 1 to %d", c.Size, maxSize)
	case min(c.DialTimeout, c.Timeout, c.MaxDuration, c.Interval) <= 0:
		return c, errors.New("load: timeouts, the duration and the interval must be above zero")
	case c.StreamsPerConn < 1:
		return c, fmt.Errorf("load: %d streams per connection: want 1 or more", c.StreamsPerConn)
	}
	return c, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// share divides n clients among the patterns by their weights, and returns one pattern per client. Each pattern gets one
// client first; each further one goes to the pattern that is then furthest below its share.
func share(n int, weights map[Pattern]int) ([]Pattern, error) {
	var total int
	var patterns []Pattern
	for _, p := range slices.Sorted(maps.Keys(weights)) {
		switch w := weights[p]; {
		case p >= patternCount:
			return nil, fmt.Errorf("load: there is no %v", p)
		case w < 0:
			return nil, fmt.Errorf("load: pattern %q has weight %d: want 0 or more", p, w)
		case w > 0:
			patterns = append(patterns, p)
			total += w
		}
	}
	if len(patterns) == 0 || len(patterns) > n {
		return nil, fmt.Errorf("load: %d patterns for %d clients: want at least one pattern, and a client for each", len(patterns), n)
	}
	clients := slices.Clone(patterns)
	given := make(map[Pattern]int, len(patterns))
	for _, p := range patterns {
		given[p] = 1
	}
	for len(clients) < n {
		next := slices.MinFunc(patterns, func(a, b Pattern) int {
			return given[a]*total - weights[a]*n - (given[b]*total - weights[b]*n)
		})
		given[next]++
		clients = append(clients, next)
	}
	return clients, nil
}
