// Package drain ends a process that serves the network without losing what it has
// begun: requests finish, connections are let go, background tasks return, resources
// are released in order, and what does not end in time is cut, counted and logged.
//
// It is for a process that gets no new connections any more, because another one has
// taken its place or a load balancer has turned away. It does not close listeners and
// handles no signals.
//
// # Model
//
// Make a [Drain] with [New] and tell it what there is: HTTP servers ([Drain.Server], with
// a listener from [Drain.Hold]), listeners of other servers ([Drain.Listener]), background
// tasks ([Drain.Go]), clean-ups ([Drain.Cleanup]). When the listeners are closed,
// [Drain.Run] drains, in phases:
//
//  1. Connections. Everybody is told: [Draining], [Drain.OnDrain]. Requests and connections
//     finish. Then [Drain.Quiet] is closed.
//  2. Tasks. Background tasks and OnDrain callbacks return.
//  3. Cleanup. Clean-ups run, the last registered first.
//  4. Done. Serve methods return, then Accept of the remaining listeners, then Run.
//
// Options.Timeout bounds the first two together. At that deadline, when Run's context
// ends, or on [Drain.Force], what is left is cut: counted in [Report].Forced, logged, its
// contexts cancelled with [ErrForced] as the cause, its connections closed. What returns
// promptly then is waited for, a quarter of a second; what ignores its context does not
// hold up the exit. Clean-ups run in any case.
//
// # What happens to connections
//
// [http.Server.Shutdown] drops a request that it has read from a connection that was new or
// idle when it was called, without an answer. So it is called last, when nothing is left:
//
//   - HTTP/1: an answer begun while draining carries "Connection: close". A connection
//     between two requests, or that has not made its first, is given Options.IdleGrace to
//     make one more; then it is closed, unless some of a request has arrived.
//   - HTTP/2: connections are told at once to open no more streams, by a GOAWAY that refuses
//     none, and half a second later by one that is final; net/http closes them when their
//     last stream has ended, or a second later. Streams under way finish.
//   - Hijacked connections (WebSocket) are told by [Draining] of their request's context and
//     waited for until their owner closes them.
//   - Connections of a [Drain.Listener] are waited for until they are closed.
//
// Whether some of a request has arrived is asked from the kernel (Linux, TCP): net/http
// shows it neither to its hooks nor in the socket's buffer. A connection that has received
// anything since it became quiet is not closed by the grace.
//
// # Guarantees
//
// A request whose first byte has arrived when its connection would be closed is answered,
// unless the drain is cut. Nothing is added to a request but a counter, a flag that is read
// and two changes of state without a lock: no allocations, no wrapped ResponseWriter.
// HTTP/1 connections are not wrapped; HTTP/2 connections are, invisibly to hooks and
// handlers, by a layer that watches for the ends of frames.
//
// # Limits
//
// A first byte that arrives in the microseconds between the last look at a connection and
// its close is lost; clients see a keep-alive connection that was closed, which they must
// be prepared for at any time.
//
// The kernel tells the order of what was sent and received in steps of up to ten
// milliseconds, and cannot tell TLS handshakes from requests. So when part of a request
// arrived within the same step as the answer before it, or on a new TLS connection before
// the drain began, and the rest takes longer than Options.IdleGrace, it is lost. Behind a
// listener that wraps connections in a type with neither SyscallConn nor NetConn, on
// Unix sockets and on other systems than Linux, only the grace protects a request that
// arrives in parts. Set [http.Server].ReadHeaderTimeout: it bounds clients that never send
// the rest, for which a drain without a limit would wait for ever.
//
// HTTP/2 set up by hand in TLSNextProto (golang.org/x/net/http2.ConfigureServer) gets GOAWAY
// with an answer only; idle connections of it are closed after a grace. A handler from
// golang.org/x/net/http2/h2c hijacks its connections, and they are treated as hijacked:
// use [http.Server].Protocols.
//
// Connections of types that cannot be map keys, such as a struct with a slice in it, are
// not tracked: their requests are.
package drain
