// Package health answers two questions about a server: "are you ready?", asked from outside over HTTP, and "is it
// healthy?", asked by whoever starts a new version and must not send it clients too early.
//
// # Being asked
//
// A [Health] holds named checks and serves /livez and /readyz in the style of Kubernetes. Live means that the process
// answers at all; it stays true while the server drains, so that nobody kills a server that is finishing its work. Ready
// means that new clients are welcome: it is false while the server starts, while it drains, and while any check fails.
// Draining turns ready false at once, also for an answer whose checks are still under way.
//
// Every request runs the checks, all at the same time. A check is never run twice at once: requests that arrive while it
// runs share its answer, so a flood of requests costs no more than one call at a time of each check. A check that outlives
// its timeout is reported as failed, and is not called again until that call has returned.
//
// Reasons of failures are shown to whoever asks. Where /readyz is open to the world, set Options.WithholdReasons.
//
// # Asking
//
// A [Probe] asks one question once: [HTTPProbe], [TCPProbe], [GRPCProbe], [ExecProbe], [FuncProbe]. [ParseProbe] makes one
// from a line of text. Each probe opens a connection of its own, through the Dial it was given; a Dial that marks its
// sockets can reach one version of a server behind a port that several share ([WithDial]).
//
// A [Gate] repeats probes until they can be believed: [Gate.Pass] waits until each has succeeded Rise times in a row,
// [Gate.Watch] returns once one has failed Fall times in a row. Their errors are an [*UnhealthyError] with the last answer
// of each failing probe:
//
//	not healthy after 60s (41 tries): GET http://127.0.0.1:8080/readyz: 503 Service Unavailable: [-]db failed: connection refused
//
// # Limits
//
// A TCP probe sees the kernel accept a connection, not the server: a server that hangs still passes. A probe is one
// client: it says nothing about load. A probe or check that ignores its context cannot be stopped; its call is
// abandoned, and at most one such call per check, or per probe of one Pass or Watch, is left behind. Answers are cut to a line
// of 512 bytes before they are shown.
package health
