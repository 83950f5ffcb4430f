package reuse

import "net/netip"

// A handshake is a connection that a client has begun and not ended (SYN_RECV).
type handshake struct{ local, remote netip.AddrPort }
