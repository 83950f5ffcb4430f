// Package handover replaces a running network server by its next version on the
// same port, with no request lost: no proxy in the path, no file descriptor
// passed, no fork, no privileges.
//
// In a program that serves HTTP, replace
//
//	err := http.ListenAndServe(":8080", handler)
//
// by
//
//	err := handover.ListenAndServe(":8080", handler)
//	if err != nil {
//		log.Fatal(err)
//	}
//
// Build it and run it. To deploy, build the next version and start it beside the
// first: it checks itself, takes over, and the first finishes what it began and
// exits with code 0. Other servers use [Listen]; [Serve] takes an [http.Server] of the
// caller's own, and [Options].
//
// # What happens
//
// Both versions listen on the port with SO_REUSEPORT. A small program that the
// kernel runs for each new connection says which of them gets it. The new version
// joins guarded, so that no client can reach it, shows through the real port
// that it works, and then moves all new connections to itself with one system
// call. The old one accepts what the kernel had queued for it by then, closes its
// listener, and drains: requests in flight finish, keep-alive connections are told
// to go, long-lived ones get time.
//
// # What is guaranteed
//
// A version that has not passed its checks gets no client. If anything fails
// before the new version has the connections, the old one never notices, and the
// new one returns an error. A request whose first byte reached a version gets its whole
// answer, unless the drain's deadline passes; what is cut then is counted. Any of
// the processes may be killed at any moment: the port is served by a healthy
// version if one lives, and the next handover works.
//
// # What is not
//
// Both versions have to run on one host, in one network namespace, as the same
// user, and listen on the same form of address. Requests that a killed process
// had in hand are lost with it. Only Linux can do this; elsewhere every function
// fails with an error that Is [errors.ErrUnsupported].
//
// # Environment
//
// HANDOVER_NAME, HANDOVER_VERSION, HANDOVER_PROBES, HANDOVER_START_TIMEOUT,
// HANDOVER_DRAIN_TIMEOUT, HANDOVER_IDLE_GRACE, HANDOVER_FLUSH_TIMEOUT,
// HANDOVER_LOCK_TIMEOUT, HANDOVER_FOREIGN_TIMEOUT and HANDOVER_BAKE stand for the fields of [Options] that the
// program leaves open.
package handover
