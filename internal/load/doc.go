// Package load drives a server with clients that never retry and counts what became of every request.
//
// It is the judge of this project: the demonstration, the soak and the tests replace a server under it and ask whether
// anything was lost. So it makes nothing look better than it was. Each client is a closed loop: it sends one request, waits
// for the whole answer, pauses briefly and goes on. Every request is counted as sent once, and ends exactly once, as
// answered or as failed; when a run has ended, sent = answered + failed.
//
//	l, err := load.Start(ctx, load.Config{Address: "127.0.0.1:8080"})
//	...                  // replace the server; l.Stats() tells how it goes
//	result := l.Stop()   // requests in flight finish first
//
// The server's side is [Handler]: it answers each request with bytes only that request can have asked for and names its own
// version, so an answer that is cut, mixed up with another or from the wrong version is seen.
//
// # What failed means
//
// A request is answered when the client has read its whole answer: status 200 and, byte for byte, the body expected for
// this request and no other. Everything else is a failure, of exactly one [Kind]. In particular:
//
//   - A request counts as sent from the moment its client begins it. When a connection has to be made first and is refused,
//     reset or not made in time, that request has failed.
//   - A connection that the server closes after an answer that said "Connection: close" is no failure: the client makes
//     a new one for its next request, as the protocol tells it to.
//   - A keep-alive connection found closed or reset when the next request is written or its answer awaited is a failure,
//     unless the answer before said "Connection: close". RFC 9112 lets a server close idle connections and a client
//     retry, which is how lost requests stay unseen; a server that loses nothing doesn't do that to busy clients.
//   - Bytes after the end of an answer are a failure: they would be taken for the next one.
//   - A request that has no answer within [Config].Timeout is a failure, so a server that hangs can't hide one.
//
// The HTTP/1.1 patterns speak the protocol themselves over a [net.Conn], because the Transport of net/http sends some
// requests a second time without telling. The HTTP/2 patterns use that Transport, over TLS or in clear text (h2c): there, the
// protocol says which requests a server has not processed (a GOAWAY frame with a lower stream number, a refused
// stream), and those are sent again. A request sent again still counts once; [Counts].Resent tells how many there were.
//
// # What latency means
//
// From the moment a request is begun, a connection still to be made included, to the last byte of its answer, less the waits
// that belong to its [Pattern] (see [Pattern.Wait]), so that patterns compare and add up. Only answered requests have one.
// Quantiles come from a histogram of fixed size, and are within 1 % (or 1 µs) of the true ones; the maximum is exact.
package load
