package load

import (
	"fmt"
	"net/http"
	"time"
)

// Waits that belong to the patterns.
const (
	slowWait     = 400 * time.Millisecond // in the handler
	lateWait     = 150 * time.Millisecond // between connecting and the first byte
	uploadWait   = 280 * time.Millisecond // between the first and the last chunk
	streamWait   = 400 * time.Millisecond // between the first and the last part of an answer
	uploadChunks = 8
	streamParts  = 5
)

// Pattern is a way clients use connections and requests. Its text form, also in JSON, is its name in messages.
type Pattern uint8

const (
	// NewConnection makes a connection for each request.
	NewConnection Pattern = iota
	// KeepAliveGet sends GET requests on one connection.
	KeepAliveGet
	// KeepAlivePost sends POST requests on one connection and wants their bodies back.
	KeepAlivePost
	// SlowRequest asks the handler to take 400 ms, on a keep-alive connection.
	SlowRequest
	// LateFirstByte connects, waits 150 ms and only then sends its request, the only one on that connection. Over TLS
	// one half of the wait comes before the handshake and one half after it.
	LateFirstByte
	// ChunkedUpload sends a body in chunks over 280 ms, on a keep-alive connection, and wants it back.
	ChunkedUpload
	// H2Get sends GET requests as streams of a shared HTTP/2 connection.
	H2Get
	// H2Post sends POST requests as streams of a shared HTTP/2 connection and wants their bodies back.
	H2Post
	// H2Stream reads answers that arrive in parts over 400 ms, as streams of a shared HTTP/2 connection.
	H2Stream

	patternCount
)

// spec says what one pattern does.
type spec struct {
	name       string
	method     string
	path       string
	http2      bool
	oneShot    bool          // one request per connection
	late       bool          // waits before its first byte
	chunked    bool          // sends its body in chunks
	serverWait time.Duration // how long the handler is asked to take
}

var specs = [patternCount]spec{
	NewConnection: {name: "new connection", method: http.MethodGet, path: getPath, oneShot: true},
	KeepAliveGet:  {name: "keep-alive GET", method: http.MethodGet, path: getPath},
	KeepAlivePost: {name: "keep-alive POST", method: http.MethodPost, path: echoPath},
	SlowRequest:   {name: "slow request", method: http.MethodGet, path: getPath, serverWait: slowWait},
	LateFirstByte: {name: "late first byte", method: http.MethodGet, path: getPath, oneShot: true, late: true},
	ChunkedUpload: {name: "chunked upload", method: http.MethodPost, path: echoPath, chunked: true},
	H2Get:         {name: "HTTP/2 GET", method: http.MethodGet, path: getPath, http2: true},
	H2Post:        {name: "HTTP/2 POST", method: http.MethodPost, path: echoPath, http2: true},
	H2Stream:      {name: "HTTP/2 stream", method: http.MethodGet, path: streamPath, http2: true, serverWait: streamWait},
}

// String returns the pattern's name in messages.
func (p Pattern) String() string {
	if p >= patternCount {
		return fmt.Sprintf("pattern %d", uint8(p))
	}
	return specs[p].name
}

// MarshalText implements [encoding.TextMarshaler].
func (p Pattern) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// Wait returns how long a request of this pattern takes by its nature: what is taken off its latency.
func (p Pattern) Wait() time.Duration {
	switch s := specs[p]; {
	case s.late:
		return lateWait
	case s.chunked:
		return uploadWait
	default:
		return s.serverWait
	}
}

// HTTP1 returns the default shares of the six HTTP/1.1 patterns: 16, 8, 8, 8, 8 and 4 of 52 clients.
func HTTP1() map[Pattern]int {
	return map[Pattern]int{
		NewConnection: 16, KeepAliveGet: 8, KeepAlivePost: 8, SlowRequest: 8, LateFirstByte: 8, ChunkedUpload: 4,
	}
}

// HTTP2 returns default shares of the three HTTP/2 patterns: 20, 16 and 16 of 52 clients.
func HTTP2() map[Pattern]int {
	return map[Pattern]int{H2Get: 20, H2Post: 16, H2Stream: 16}
}
