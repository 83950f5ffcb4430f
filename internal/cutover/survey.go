package cutover

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gohandover/handover/internal/control"
	"github.com/gohandover/handover/reuse"
)

// askTimeout bounds the wait for one agent's status. An agent answers at once;
// a stopped one never does.
const askTimeout = time.Second

// A survey is what was found on the service's addresses, under the lock.
type survey struct {
	groups         []reuse.Group
	answers        []control.Answer // of the service's agents, the newcomer's own left out
	foreignTimeout time.Duration
	env            env
}

// look surveys the groups.
func (h *handover) look(ctx context.Context) (*survey, error) {
	s := &survey{foreignTimeout: h.ForeignTimeout, env: h.env}
	for _, id := range h.ids {
		g, err := reuse.Look(ctx, id)
		if err != nil {
			return nil, err
		}
		if err := g.CheckOverlap(h.ids...); err != nil {
			return nil, err
		}
		if n := len(g.Members); 2*n > reuse.MaxIndex {
			return nil, fmt.Errorf("%d sockets listen on %s, more than can be steered around: run the server with fewer listening sockets", n, id)
		}
		s.groups = append(s.groups, g)
	}
	peers, err := control.Finder{}.Peers(ctx, h.Service)
	if err != nil {
		return nil, err
	}
	peers = slices.DeleteFunc(peers, func(p control.Peer) bool { return p.Instance == h.Instance })
	s.answers = control.QueryAll(ctx, peers, control.QueryOptions{Timeout: askTimeout})
	return s, nil
}

// generation returns the number of the next generation. One that doesn't tell
// its own is counted, at least.
func (s *survey) generation() int {
	last, deaf := 0, 0
	for _, a := range s.answers {
		last = max(last, a.Status.Generation)
		if errors.Is(a.Err, control.ErrDeaf) {
			deaf++
		}
	}
	return max(last, deaf) + 1
}

// rank orders agents by how likely clients are with them.
var rank = map[control.State]int{
	control.StateActive: 4, control.StateCanary: 3, control.StateParked: 2, control.StateStandby: 1,
}

// predecessors returns all who listen, those that clients are with first.
func (s *survey) predecessors(ctx context.Context) ([]predecessor, error) {
	var out []predecessor
	for _, a := range s.agents() {
		if err := s.covered(a.Status); err != nil {
			return nil, err
		}
		out = append(out, &agent{
			client: control.NewClient(a.Peer, control.ClientOptions{}),
			status: a.Status,
			plain:  &foreign{holders: reuse.Holders(s.membersOf(a.Status)), timeout: s.foreignTimeout, env: s.env},
		})
	}
	strays := s.strays()
	if len(strays) == 0 {
		return out, nil
	}
	f, err := s.foreign(ctx, strays)
	if err != nil {
		return nil, err
	}
	return append(out, f), nil
}

// agents returns those who answer and have sockets in the groups.
func (s *survey) agents() []control.Answer {
	var out []control.Answer
	for _, a := range s.answers {
		if a.Err == nil && len(a.Status.Members) > 0 {
			out = append(out, a)
		}
	}
	slices.SortStableFunc(out, func(a, b control.Answer) int {
		return cmp.Or(
			cmp.Compare(rank[b.Status.State], rank[a.Status.State]),
			cmp.Compare(b.Status.Generation, a.Status.Generation))
	})
	return out
}

// covered checks that every address of a running generation is taken over:
// clients of one that isn't would be refused.
func (s *survey) covered(st control.Status) error {
	cookies := map[uint64]bool{}
	for _, g := range s.groups {
		for _, m := range g.Members {
			cookies[m.Cookie] = true
		}
	}
	for _, m := range st.Members {
		if !cookies[m.Cookie] {
			return fmt.Errorf("the running generation %d (pid %d) also listens on %s, which this version does not: list that address too, or end the running version first",
				st.Generation, st.PID, m.Address)
		}
	}
	return nil
}

// membersOf returns the sockets that an agent says are its own.
func (s *survey) membersOf(st control.Status) []reuse.Member {
	var out []reuse.Member
	for _, g := range s.groups {
		for _, m := range st.Members {
			if found, ok := g.Find(m.Cookie); ok {
				out = append(out, found)
			}
		}
	}
	return out
}

// strays are sockets in the groups that no answering agent of the service owns.
func (s *survey) strays() []reuse.Member {
	claimed := map[uint64]bool{}
	for _, a := range s.answers {
		for _, m := range a.Status.Members {
			claimed[m.Cookie] = true
		}
	}
	var out []reuse.Member
	for _, g := range s.groups {
		for _, m := range g.Members {
			if !claimed[m.Cookie] {
				out = append(out, m)
			}
		}
	}
	return out
}

// foreign makes a predecessor of sockets that no agent claims, if it can be
// told whose they are.
func (s *survey) foreign(ctx context.Context, strays []reuse.Member) (*foreign, error) {
	if err := ownedElsewhere(ctx, strays); err != nil {
		return nil, err
	}
	f := &foreign{holders: reuse.Holders(strays), timeout: s.foreignTimeout, env: s.env}
	for _, a := range s.answers {
		if errors.Is(a.Err, control.ErrSquatted) {
			return nil, a.Err
		}
		f.deaf = f.deaf || errors.Is(a.Err, control.ErrDeaf)
	}
	for _, h := range f.holders {
		if len(h.Processes) == 0 {
			return nil, fmt.Errorf("%s: %w", h, errOwnerless)
		}
		if slices.ContainsFunc(h.Processes, func(p reuse.Process) bool { return p.PID == os.Getpid() }) {
			return nil, fmt.Errorf("%s is served by this very process already", h.Group)
		}
	}
	if p, ok := f.ancestor(); ok {
		return nil, fmt.Errorf("%s is held by pid %d (%s), which started this process and can't be told to leave by it: a supervisor must not keep the service's socket open", f.holders[0].Group, p.PID, p.Name)
	}
	return f, nil
}

var errOwnerless = errors.New("served by a process that answers on no control socket of this service and is not visible from here (another PID namespace, or another user's rights): it can't be told to leave, so end it first")

// ownedElsewhere refuses sockets that belong to another service.
func ownedElsewhere(ctx context.Context, strays []reuse.Member) error {
	services, err := control.Finder{}.Services(ctx)
	if err != nil {
		return nil // too many names to tell; the sockets are foreign then
	}
	for _, svc := range services {
		for _, a := range control.QueryAll(ctx, svc.Peers, control.QueryOptions{Timeout: askTimeout}) {
			for _, m := range a.Status.Members {
				if slices.ContainsFunc(strays, func(s reuse.Member) bool { return s.Cookie == m.Cookie }) {
					return fmt.Errorf("%s belongs to another service, %q (generation %d, pid %d): give this one the same name to take over from it (Options.Name or HANDOVER_NAME), or another address",
						m.Address, svc.Name, a.Status.Generation, a.Status.PID)
				}
			}
		}
	}
	return nil
}

// joining says how the newcomer becomes a member of each group.
func (s *survey) joining() map[reuse.GroupID]Joining {
	strays := map[uint64]bool{}
	for _, m := range s.strays() {
		strays[m.Cookie] = true
	}
	out := map[reuse.GroupID]Joining{}
	for _, g := range s.groups {
		j := Joining{Others: len(g.Members)}
		if !slices.ContainsFunc(g.Members, func(m reuse.Member) bool { return !strays[m.Cookie] }) {
			// Nobody who could have held the group is in it: its members so
			// far go on as they do, and a newcomer alone takes the first place.
			j.Attach = new(only(max(1, len(g.Members))))
		}
		out[g.ID] = j
	}
	return out
}

// only is the plan over the first n members.
func only(n int) reuse.Plan {
	indices := make([]int, n)
	for i := range indices {
		indices[i] = i
	}
	return reuse.Only(indices...)
}

// describe names predecessors for people.
func describe(all []predecessor) string {
	var names []string
	for _, p := range all {
		names = append(names, p.name())
	}
	return strings.Join(names, "; ")
}
