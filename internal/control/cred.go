package control

import (
	"bufio"
	"fmt"
	"io"
	"math"
)

// cred is what the kernel says of the process at the other end: who it was
// when it connected, or when it began to listen.
type cred struct {
	pid int32 // 0 when it has none in this PID namespace
	uid uint32
}

// identity is what a peer's uid is compared with.
type identity struct {
	euid uint32
	// overflow is shown by the kernel in place of users without a uid in this
	// user namespace. Where complete is true there are none of those, and the
	// number is that of a user like any other, usually "nobody".
	overflow uint32
	complete bool
}

// unmapped reports whether uid may stand for someone without a uid here.
func (id identity) unmapped(uid uint32) bool {
	return uid == math.MaxUint32 || uid == id.overflow && !id.complete
}

// trusts reports whether uid is this user or root of this user namespace.
func (id identity) trusts(uid uint32) bool {
	return !id.unmapped(uid) && (uid == id.euid || uid == 0)
}

// check returns a SquattedError unless uid is trusted. With any, root trusts
// everyone: it asks only for what it could as well read from their memory.
func (id identity) check(name string, uid uint32, any bool) error {
	if id.trusts(uid) || any && id.euid == 0 && !id.unmapped(id.euid) {
		return nil
	}
	return &SquattedError{Name: name, UID: uid, Self: id.euid, Unmapped: id.unmapped(uid)}
}

// mapsEveryUID reads a uid_map as of /proc/self: lines of first uid inside,
// first uid outside, count. Only a map over all 2^32-1 uids leaves nobody out.
func mapsEveryUID(r io.Reader) bool {
	var total uint64
	for lines := bufio.NewScanner(r); lines.Scan(); {
		var inside, outside, count uint64
		if _, err := fmt.Sscan(lines.Text(), &inside, &outside, &count); err != nil {
			return false
		}
		total += count
	}
	return total >= math.MaxUint32
}
