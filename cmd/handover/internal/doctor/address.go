package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/gohandover/handover/internal/control"
	"github.com/gohandover/handover/reuse"
)

// address finds out who is in the group behind id, and whether a process like
// this one could join it.
func (e *exam) address(ctx context.Context, id reuse.GroupID) {
	g, err := reuse.Look(ctx, id)
	if err != nil {
		e.add(Fail, "address", err.Error(), remedy(err))
		return
	}
	if len(g.Members) == 0 && len(g.Overlapping) == 0 {
		e.ok("address", "nobody listens on %s", id)
	}
	agents := e.agents(ctx)
	unspoken := false
	for _, h := range reuse.Holders(g.Members) {
		agent, spoken := agents[h.Cookie]
		unspoken = unspoken || !spoken
		e.member(h, agent)
	}
	if unspoken {
		e.unspoken(g.Members)
	}
	if err := g.CheckOverlap(); err != nil {
		e.add(Fail, "overlap", err.Error(), "listen on the same form of address in all versions")
	}
	e.join(ctx, id)
}

// member judges one listener.
func (e *exam) member(h reuse.Holder, agent string) {
	found := fmt.Sprintf("%s, queue %d of %d", h, h.QueueLen, h.QueueLimit)
	if agent != "" {
		found += ": " + agent
	}
	switch {
	case h.MPTCP:
		e.add(Warn, "listener", found+": an MPTCP listener: others can take over from it, but it can't attach a program itself",
			"make plain TCP listeners: in Go, ListenConfig.SetMultipathTCP(false) or GODEBUG=multipathtcp=0")
	case h.QueueLen > h.QueueLimit/2:
		e.add(Warn, "listener", found+": more than half full", "find out why it accepts so slowly")
	default:
		e.ok("listener", "%s", found)
	}
}

// unspoken judges listeners that no agent answers for.
func (e *exam) unspoken(members []reuse.Member) {
	for _, h := range reuse.Holders(members) {
		if len(h.Processes) == 0 {
			e.add(Warn, "agent", "no process with this library answers for a listener, and its process is not visible from here",
				"run as its user and in its PID namespace, or stop it by hand this once")
			return
		}
	}
	e.add(Warn, "agent", "no process with this library answers for a listener: it can be taken over if it has SO_REUSEPORT, and gets SIGTERM then",
		"build it with the library too, so that what it has begun is finished")
}

// agents returns who answers for which socket, by cookie.
func (e *exam) agents(ctx context.Context) map[uint64]string {
	found := map[uint64]string{}
	services, err := control.Services(ctx)
	if err != nil {
		e.add(Warn, "agent", err.Error(), "")
	}
	for _, s := range services {
		for _, a := range control.QueryAll(ctx, s.Peers, control.QueryOptions{AnyUID: os.Geteuid() == 0}) {
			for _, m := range a.Status.Members {
				found[m.Cookie] = fmt.Sprintf("service %s, generation %d (version %s), %s",
					s.Name, a.Status.Generation, cmp.Or(a.Status.Version, "not named"), a.Status.State)
			}
		}
	}
	return found
}

// join tries to bind, which is harmless: without listen a socket gets nothing.
func (e *exam) join(ctx context.Context, id reuse.GroupID) {
	s, err := reuse.Config{}.Bind(ctx, network(id), id.Addr.String())
	if err == nil {
		s.Close()
		e.ok("join", "uid %d can listen on %s", os.Geteuid(), id)
		return
	}
	do := ""
	if inUse := (*reuse.InUseError)(nil); !errors.As(err, &inUse) { // which says what to do
		do = "check the address"
	}
	if errors.Is(err, syscall.EACCES) {
		do = "use a port that needs no privilege (net.ipv4.ip_unprivileged_port_start), or give the program CAP_NET_BIND_SERVICE"
	}
	e.add(Fail, "join", err.Error(), do)
}

// network is the one with which a socket on id's address is a member of it.
func network(id reuse.GroupID) string {
	switch {
	case id.Addr.Addr().Is4():
		return "tcp4"
	case id.V6Only:
		return "tcp6"
	}
	return "tcp"
}
