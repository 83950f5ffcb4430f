// Package cutover drives a handover: it brings a new generation of a service in
// beside the running one, moves new connections to it with one kernel operation
// for each address, and sees the running one out.
//
// The [Coordinator] is the state machine. It acts through a [Newcomer], which is
// the new generation, and on predecessors, which it finds itself: agents that
// answer on a control socket, and processes without one whose sockets are in
// the group. What it does, in order, are the values of [Step].
//
// Before the cutover every failure leaves the running generation as it was.
// From then on until the running one has closed its listeners, failing means
// cutting back to it. After that there is nothing to go back to, and what is
// left over (a predecessor that hangs) is reported and left alone.
package cutover
