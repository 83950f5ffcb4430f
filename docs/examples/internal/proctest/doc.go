// Package proctest builds the examples and runs them as the processes they are:
// two versions side by side, clients that never retry, exit codes.
//
// A test that uses it is in package main, beside its example: so the test cache
// knows that it depends on the example, and on the library.
package proctest
