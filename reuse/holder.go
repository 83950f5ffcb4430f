package reuse

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// A Process owns a socket, as far as this process may see.
type Process struct {
	PID  int
	Name string
}

// A Holder is a listening socket and the processes that have it open. Processes
// of other users and of other PID namespaces are not visible without privilege.
type Holder struct {
	Member
	Processes []Process
}

// String says who holds what, for people: "[::]:8080, uid 33 (www-data), pid 812 (nginx)".
func (h Holder) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, uid %d", h.Group, h.UID)
	if u, err := user.LookupId(strconv.Itoa(int(h.UID))); err == nil {
		fmt.Fprintf(&b, " (%s)", u.Username)
	}
	for _, p := range h.Processes {
		fmt.Fprintf(&b, ", pid %d (%s)", p.PID, p.Name)
	}
	if len(h.Processes) == 0 {
		b.WriteString(", pid not visible from here")
	}
	return b.String()
}

// Holders finds the processes behind members, by the inodes of their sockets.
func Holders(members []Member) []Holder {
	inodes := make([]uint64, len(members))
	for i, m := range members {
		inodes[i] = m.Inode
	}
	owners := socketOwners(inodes)
	holders := make([]Holder, len(members))
	for i, m := range members {
		holders[i] = Holder{Member: m, Processes: owners[m.Inode]}
	}
	return holders
}

// Connections counts the connections to the group's port that the processes
// have accepted and not closed: what would be cut if they ended now. Only
// processes that are visible and may be looked into are counted.
func Connections(ctx context.Context, id GroupID, processes []Process) (int, error) {
	inodes, err := connections(ctx, id)
	if err != nil {
		return 0, fmt.Errorf("reuse: connections of %s: %w", id, err)
	}
	return socketsHeld(inodes, processes), nil
}

// An InUseError says why an address can't be bound and who has it. It wraps
// syscall.EADDRINUSE.
type InUseError struct {
	Addr    netip.AddrPort
	UID     int // who wanted it
	Holders []Holder
	Err     error
}

// Error names the holders, the reason and the way out.
func (e *InUseError) Error() string {
	head := fmt.Sprintf("reuse: bind %s: %v", e.Addr, e.Err)
	if len(e.Holders) == 0 {
		return head + ": nobody listens on the port: a socket is bound to it without listening, or it is the local port of an outgoing connection (ss -tan shows sockets in every state; net.ipv4.ip_local_reserved_ports keeps such connections off a port)"
	}
	var names []string
	for _, h := range e.Holders {
		names = append(names, h.String())
	}
	return head + ": held by " + strings.Join(names, "; ") + ": " + e.reason()
}

func (e *InUseError) reason() string {
	foreign := slices.ContainsFunc(e.Holders, func(h Holder) bool { return int(h.UID) != e.UID })
	if foreign {
		return fmt.Sprintf("the kernel lets only sockets of one user share a port, and this process is uid %d: run both versions as the same user", e.UID)
	}
	return "it listens without SO_REUSEPORT, so nothing can share the port: stop it this once, and start it with the option from then on"
}

// Unwrap returns the error of bind(2).
func (e *InUseError) Unwrap() error { return e.Err }

// explainBind turns EADDRINUSE into an InUseError.
func explainBind(ctx context.Context, addr netip.AddrPort, err error) error {
	if !errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("reuse: bind %s: %w", addr, err)
	}
	e := &InUseError{Addr: addr, UID: os.Geteuid(), Err: err}
	all, lookErr := listeners(ctx, addr.Port())
	if lookErr != nil {
		return e
	}
	id := GroupID{Addr: addr}
	all = slices.DeleteFunc(all, func(m Member) bool {
		return !m.Group.same(id) && !m.Group.overlaps(id)
	})
	e.Holders = Holders(all)
	return e
}

// An OverlapError says that a port is served on another form of address, so
// that a new listener would take no traffic from it, or would lose its own to it.
type OverlapError struct {
	Group   GroupID
	Holders []Holder
}

// Error names the other listeners and the way out.
func (e *OverlapError) Error() string {
	var names []string
	for _, h := range e.Holders {
		names = append(names, h.String())
	}
	return fmt.Sprintf("reuse: %s overlaps with what is already listening: %s: these are different groups to the kernel, and the more specific one takes the connections: listen on the same address as the running version",
		e.Group, strings.Join(names, "; "))
}

// CheckOverlap returns an *OverlapError if another form of the group's address
// is in use on the port, by whomever. Groups in except are not counted: those
// that the caller serves itself.
func (g Group) CheckOverlap(except ...GroupID) error {
	over := slices.DeleteFunc(slices.Clone(g.Overlapping), func(m Member) bool {
		return slices.ContainsFunc(except, m.Group.same)
	})
	if len(over) == 0 {
		return nil
	}
	return &OverlapError{Group: g.ID, Holders: Holders(over)}
}
