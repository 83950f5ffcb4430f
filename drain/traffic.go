package drain

import "time"

// traffic is what the kernel knows about the data on a connection.
type traffic struct {
	received      uint64 // bytes from the peer, whether read by us or not
	sinceReceived time.Duration
	sinceSent     time.Duration
}
