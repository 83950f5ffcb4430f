package reuse

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// sock_diag(7) and linux/inet_diag.h: what the kernel tells everybody about the
// sockets of a network namespace.
const (
	diagRequestLen = 56 // struct inet_diag_req_v2
	diagMessageLen = 72 // struct inet_diag_msg

	attrV6Only = 11 // INET_DIAG_SKV6ONLY
	attrProto  = 3  // INET_DIAG_REQ_PROTOCOL, for protocols over 255

	// Sets of states: 1 << TCP_ESTABLISHED and so on (net/tcp_states.h).
	stateEstablished = 1 << 1
	stateSynRecv     = 1 << 3
	stateCloseWait   = 1 << 8
	stateListen      = 1 << 10
)

// A diagRow is one socket of a dump.
type diagRow struct {
	local, remote  netip.AddrPort
	family         uint8
	state          uint8
	v6only         bool
	rqueue, wqueue uint32
	uid            uint32
	inode          uint32
	cookie         uint64
}

// listeners returns all TCP listeners on port in this network namespace.
func listeners(ctx context.Context, port uint16) ([]Member, error) {
	rows, err := dump(ctx, unix.IPPROTO_TCP, stateListen, port, bothFamilies)
	if err != nil {
		return nil, err
	}
	mptcp := map[uint32]bool{} // by inode, which an MPTCP listener shares with the TCP one beneath it
	// A kernel without mptcp_diag can't tell, and answers with an error.
	if rows, err := dump(ctx, unix.IPPROTO_MPTCP, stateListen, port, bothFamilies); err == nil {
		for _, r := range rows {
			mptcp[r.inode] = true
		}
	}
	var out []Member
	for _, r := range rows {
		out = append(out, Member{
			Group:      GroupID{Addr: r.local, V6Only: r.v6only},
			Cookie:     r.cookie,
			Inode:      uint64(r.inode),
			UID:        r.uid,
			QueueLen:   int(r.rqueue),
			QueueLimit: int(r.wqueue),
			MPTCP:      mptcp[r.inode],
		})
	}
	return out, nil
}

// halfOpen returns the handshakes that listeners on the group's port have begun
// and the client has not ended, each by its two addresses. For this the kernel
// walks over all connections, so only the families of the group are asked for.
func halfOpen(ctx context.Context, id GroupID) (map[handshake]bool, error) {
	rows, err := dump(ctx, unix.IPPROTO_TCP, stateSynRecv, id.Addr.Port(), familiesOf(id))
	if err != nil {
		return nil, err
	}
	set := make(map[handshake]bool, len(rows))
	for _, r := range rows {
		set[handshake{local: r.local, remote: r.remote}] = true
	}
	return set, nil
}

// connections returns the inodes of the connections to the group that some
// process has accepted and not closed.
func connections(ctx context.Context, id GroupID) ([]uint64, error) {
	rows, err := dump(ctx, unix.IPPROTO_TCP, stateEstablished|stateCloseWait, id.Addr.Port(), bothFamilies)
	if err != nil {
		return nil, err
	}
	var inodes []uint64
	for _, r := range rows {
		if r.inode != 0 {
			inodes = append(inodes, uint64(r.inode))
		}
	}
	return inodes, nil
}

func familiesOf(id GroupID) []uint8 {
	var families []uint8
	if id.has4() {
		families = append(families, unix.AF_INET)
	}
	if id.has6() {
		families = append(families, unix.AF_INET6)
	}
	return families
}

var bothFamilies = []uint8{unix.AF_INET, unix.AF_INET6}

// dump lists the sockets of one protocol, in some states, with one local port
// and of the families given.
func dump(ctx context.Context, protocol int, states uint32, port uint16, families []uint8) ([]diagRow, error) {
	conn, err := netlink.Dial(unix.NETLINK_SOCK_DIAG, nil)
	if err != nil {
		return nil, fmt.Errorf("sock_diag: %w (netlink sockets are needed: a seccomp profile, or systemd's RestrictAddressFamilies without AF_NETLINK, may forbid them)", err)
	}
	defer conn.Close()
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(5 * time.Second)
	}
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, fmt.Errorf("sock_diag: %w", err)
	}
	var rows []diagRow
	for _, family := range families {
		got, err := dumpFamily(conn, family, protocol, states, port)
		if err != nil {
			return nil, fmt.Errorf("sock_diag: %w", err)
		}
		rows = append(rows, got...)
	}
	return rows, nil
}

func dumpFamily(conn *netlink.Conn, family uint8, protocol int, states uint32, port uint16) ([]diagRow, error) {
	msgs, err := conn.Execute(netlink.Message{
		Header: netlink.Header{
			Type:  unix.SOCK_DIAG_BY_FAMILY,
			Flags: netlink.Request | netlink.Dump,
		},
		Data: diagRequest(family, protocol, states, port),
	})
	if err != nil {
		return nil, err
	}
	rows := make([]diagRow, 0, len(msgs))
	for _, m := range msgs {
		r, err := parseDiag(m.Data)
		if err != nil {
			return nil, err
		}
		// Kernels differ in which parts of the request they filter by.
		if r.local.Port() == port && r.family == family {
			rows = append(rows, r)
		}
	}
	return rows, nil
}

func diagRequest(family uint8, protocol int, states uint32, port uint16) []byte {
	b := make([]byte, diagRequestLen, diagRequestLen+8)
	b[0] = family
	b[1] = uint8(min(protocol, 255))
	binary.NativeEndian.PutUint32(b[4:], states)
	binary.BigEndian.PutUint16(b[8:], port)
	if protocol > 255 {
		b = binary.NativeEndian.AppendUint16(b, 8)
		b = binary.NativeEndian.AppendUint16(b, attrProto)
		b = binary.NativeEndian.AppendUint32(b, uint32(protocol))
	}
	return b
}

var errShortDiag = errors.New("message is too short")

// parseDiag reads a struct inet_diag_msg and the attributes behind it.
func parseDiag(b []byte) (diagRow, error) {
	if len(b) < diagMessageLen {
		return diagRow{}, errShortDiag
	}
	r := diagRow{
		family: b[0],
		state:  b[1],
		cookie: uint64(binary.NativeEndian.Uint32(b[44:])) | uint64(binary.NativeEndian.Uint32(b[48:]))<<32,
		rqueue: binary.NativeEndian.Uint32(b[56:]),
		wqueue: binary.NativeEndian.Uint32(b[60:]),
		uid:    binary.NativeEndian.Uint32(b[64:]),
		inode:  binary.NativeEndian.Uint32(b[68:]),
	}
	zone := binary.NativeEndian.Uint32(b[40:])
	r.local = diagAddr(r.family, b[8:24], binary.BigEndian.Uint16(b[4:]), zone)
	r.remote = diagAddr(r.family, b[24:40], binary.BigEndian.Uint16(b[6:]), zone)
	attrs, err := netlink.NewAttributeDecoder(b[diagMessageLen:])
	if err != nil {
		return diagRow{}, err
	}
	for attrs.Next() {
		if attrs.Type() == attrV6Only {
			r.v6only = attrs.Uint8() != 0
		}
	}
	return r, attrs.Err()
}

func diagAddr(family uint8, b []byte, port uint16, iface uint32) netip.AddrPort {
	if family == unix.AF_INET {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(b)), port)
	}
	ip := netip.AddrFrom16([16]byte(b)).Unmap()
	if ip.IsLinkLocalUnicast() {
		ip = ip.WithZone(zoneName(iface))
	}
	return netip.AddrPortFrom(ip, port)
}
