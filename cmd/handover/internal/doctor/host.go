package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// host reads what the kernel says of itself.
type host struct{ proc string }

// read returns the text of a file below /proc, without surrounding space.
func (h host) read(name string) (string, bool) {
	b, err := os.ReadFile(filepath.Join(h.proc, name))
	return strings.TrimSpace(string(b)), err == nil
}

// number returns the number in a file below /proc/sys.
func (h host) number(name string) (int, bool) {
	text, ok := h.read("sys/" + name)
	n, err := strconv.Atoi(text)
	return n, ok && err == nil
}

// status returns a field of /proc/self/status.
func (h host) status(field string) (string, bool) {
	text, _ := h.read("self/status")
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, field+":"); ok {
			return strings.TrimSpace(value), true
		}
	}
	return "", false
}

// release is a kernel's version as far as it matters.
type release struct{ major, minor int }

func parseRelease(text string) (r release, ok bool) {
	_, err := fmt.Sscanf(text, "%d.%d", &r.major, &r.minor)
	return r, err == nil
}

func (r release) before(major, minor int) bool {
	return r.major < major || r.major == major && r.minor < minor
}

// kernel judges the kernel's version. What it can do is tried later: this tells
// why, if it can't.
func (e *exam) kernel() {
	const about = "kernel"
	text, _ := e.host.read("sys/kernel/osrelease")
	r, ok := parseRelease(text)
	switch {
	case !ok:
		e.add(Warn, about, fmt.Sprintf("its version can't be read (%q)", text), "mount /proc; see below whether it works")
	case r.before(4, 6):
		e.add(Fail, about, "Linux "+text+" can't steer TCP connections, which came with 4.6", "use Linux 4.12 or later")
	case r.before(4, 12):
		e.add(Fail, about, "Linux "+text+" can't tell sockets apart by cookie, which came with 4.12", "use Linux 4.12 or later")
	default:
		e.ok(about, "Linux %s (4.6 is needed for steering TCP, 4.12 for telling sockets apart)", text)
	}
}

const (
	// smallQueue is an accept queue that a busy server fills while it has no
	// processor for a moment.
	smallQueue = 1024
)

// limits judges the settings of the network namespace.
func (e *exam) limits() {
	if n, ok := e.host.number("net/core/somaxconn"); ok {
		if n < smallQueue {
			e.add(Warn, "accept queue", fmt.Sprintf("net.core.somaxconn is %d: under load clients are turned away, with or without a handover", n),
				"sysctl -w net.core.somaxconn=4096, as root")
		} else {
			e.ok("accept queue", "up to %d connections (net.core.somaxconn)", n)
		}
	}
	switch n, ok := e.host.number("net/ipv4/tcp_migrate_req"); {
	case !ok:
		e.ok("tcp_migrate_req", "not known to this kernel, and not needed")
	case n == 0:
		e.ok("tcp_migrate_req", "off, and not needed (on, it would also save what a killed server had queued)")
	default:
		e.ok("tcp_migrate_req", "on: what a killed server had queued moves to the others")
	}
	if n, ok := e.host.number("net/ipv4/tcp_syncookies"); ok {
		if n == 0 {
			e.add(Warn, "tcp_syncookies", "off: when the queue of handshakes is full, clients wait a second or more", "sysctl -w net.ipv4.tcp_syncookies=1, as root")
		} else {
			e.ok("tcp_syncookies", "%d", n)
		}
	}
	if n, ok := e.host.number("net/mptcp/enabled"); ok && n == 1 {
		e.ok("MPTCP", "on: listeners of net.Listen are MPTCP ones since Go 1.24 and can't be steered; this library's are plain TCP")
	}
}

// confinement tells what may forbid things to this process. Whether it does is
// tried later.
func (e *exam) confinement() {
	modes := map[string]string{"0": "off", "1": "strict", "2": "filter"}
	if mode, ok := e.host.status("Seccomp"); ok {
		name, known := modes[mode]
		if !known {
			name = mode
		}
		e.ok("seccomp", "%s", name)
	}
	if text, ok := e.host.read("self/uid_map"); ok {
		where := "the machine's own"
		if !mapsAll(text) {
			where = "one of its own: versions must run in user namespaces that map them to the same user of the machine"
		}
		e.ok("user namespace", "%s (this is uid %d)", where, os.Geteuid())
	}
}

// mapsAll tells whether a uid_map is that of the first user namespace.
func mapsAll(uidMap string) bool {
	var inside, outside, count uint64
	n, err := fmt.Sscan(uidMap, &inside, &outside, &count)
	return err == nil && n == 3 && inside == 0 && outside == 0 && count == 1<<32-1
}
