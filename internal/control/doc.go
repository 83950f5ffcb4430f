// Package control is how the processes of a service talk to each other: each
// generation has an agent that answers on a control socket, and whoever drives
// a handover finds the sockets and asks.
//
// # Sockets
//
// The control socket is an abstract unix socket named
//
//	@handover/<uid>/<service>/<instance>
//
// with the effective uid of its owner and 16 random hexadecimal digits for the
// process. Abstract sockets belong to a network namespace, as ports do, so two
// containers that can share a port can also talk; they vanish with their
// process, so nothing has to be cleaned up after a crash. With [Options.Dir] the
// socket is a file, <dir>/<service>.<instance>.sock with mode 0600 in a
// directory with mode 0700, for processes that share a directory instead.
//
// Abstract sockets have no permissions and anyone can take any name. So both
// ends ask the kernel (SO_PEERCRED) who the other one is before a byte is read
// or written, and talk only to the same user or root. The kernel shows a user
// without a uid in this user namespace as the overflow uid, 65534: where such
// users can exist that number is never taken for the same user, not even by a
// process that has it.
//
// # Protocol
//
// HTTP/1.1 with JSON, below /v1/. GET status and events, POST hold, park,
// resume, drain and stop; see [Agent] for what they mean. events is a stream of
// JSON objects, one per line. Names are in snake case, times in RFC 3339,
// durations in nanoseconds. The end of a connection ends the call it carries.
// A refusal is
//
//	{"error": "what failed and why", "code": "conflict", "hint": "the way out"}
//
// with a matching HTTP status.
//
// # Two versions at once
//
// An upgrade always runs two versions of this package. The rules:
//
//   - Fields may be added, and are never renamed, removed or given another
//     meaning. A field that is not known is ignored; one that is missing has
//     its zero value, which must mean what it meant before there was the field.
//   - Verbs may be added. [Status].Verbs lists those that an agent has; another
//     one is refused with the code "unsupported", which is [ErrUnsupported] for
//     the client. Whoever uses a verb that is not of version 1 needs a way to do
//     without.
//   - States, event types and error codes may be added: an unknown one is no
//     error. For a code that is not known the HTTP status decides.
//   - [Status].Protocol grows with each of these and is for people and logs. No
//     version is refused for being newer.
//   - What cannot be done in this way gets another prefix than /v1/, and is
//     served beside it.
//
// # Limits
//
// A server has at most 64 connections, half of them for any one process, of which
// 16 run calls and 16 read events; an 8 KiB header, a 64 KiB body, and 5
// seconds for each of them. A client reads at most 1 MiB. A reader of events that
// does not keep up is cut off.
//
// Everything but Linux gets an error that is an [errors.ErrUnsupported].
package control
