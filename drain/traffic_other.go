//go:build !linux

package drain

import "net"

// readTraffic reports false: here, only the grace protects a request whose first
// bytes have arrived on a quiet connection.
func readTraffic(net.Conn) (traffic, bool) { return traffic{}, false }
