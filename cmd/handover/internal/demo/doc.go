// Package demo replaces a running server under load, as a user would, and
// counts what is lost: once with this project's library, once the way that is
// usual without it. The servers are real processes: the program that calls [Demo.Run]
// starts itself again, and calls [Serve] there.
package demo
