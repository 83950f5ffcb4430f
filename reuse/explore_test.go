package reuse

import (
	"slices"
	"strings"
	"testing"
)

// check returns the invariant that a world breaks.
func (p plan) check(w world) string {
	served, resuming := false, false
	for g, proc := range w.procs {
		served = served || proc.fit() && w.of(int8(g)) != 0
		resuming = resuming || proc.resume && !p.noResume
	}
	// A client may have to try again where the active generation can't be asked
	// before somebody has joined, or where a member has gone since it was.
	retry := w.step >= stepJoin && w.step <= stepHoldAgainAttach && (w.moved || w.agent() == 0)
	reached := w.reach()
	for i, m := range w.members[:w.size] {
		owner := w.procs[m.owner]
		switch {
		case !reached.has(i) || m.owner == 0:
		case !owner.gated && !m.guarded:
			return "I1: a client can get to a generation that has not passed its gate"
		case w.step.afterCutover():
			if m.owner != w.holder || m.guarded {
				return "I2: a client can get to an old generation after the cutover"
			}
		case served && !resuming && !owner.fit():
			if !m.guarded || !retry {
				return "I7: a client can get to a generation that doesn't serve, beside one that does"
			}
		}
	}
	if w.step == stepUnlock && w.alone && w.prog.named != below(int(w.size)) {
		return "I7: the program in force is not right for the next handover"
	}
	return ""
}

// moves are all that can happen next.
func (p plan) moves(w world, do yield) {
	stuck := w.holder != 0
	p.advance(w, func(m move, after world, broken string) {
		stuck = false
		do(m, after, broken)
	})
	if stuck && w.places(w.passing) == 0 {
		do(move{w.holder, "waits"}, w, "I7: for ever")
	}
	p.begin(w, do)
	p.resumes(w, do)
	w.events(do)
}

// passing tells whether something is about to happen to a member by itself.
func (w world) passing(m seat) bool {
	return m.queued || m.owner == 0 || w.procs[m.owner].leaving && !w.procs[m.owner].stopped
}

// A node is a world, by the way that leads there.
type node struct {
	from int32
	move move
}

// explore goes through every world that can come of first, nearest first, and
// returns how many there are and the shortest way to a broken invariant, if any.
func (p plan) explore(first world) (worlds int, trace []string) {
	nodes := []node{{from: -1}}
	known := map[world]struct{}{first: {}}
	queue := []world{first}
	for at := 0; len(queue) > 0 && trace == nil; at++ {
		w := queue[0]
		queue = queue[1:]
		p.moves(w, func(m move, after world, broken string) {
			if broken == "" {
				broken = p.check(after)
			}
			n := node{int32(at), m}
			if broken != "" && trace == nil {
				trace = append(way(nodes, n), broken+": "+after.group.String())
			}
			if _, ok := known[after]; !ok {
				known[after] = struct{}{}
				nodes = append(nodes, n)
				queue = append(queue, after)
			}
		})
	}
	return len(known), trace
}

// way lists the moves that lead to n.
func way(nodes []node, n node) []string {
	var moves []string
	for ; n.from >= 0; n = nodes[n.from] {
		moves = append(moves, n.move.String())
	}
	slices.Reverse(moves)
	return moves
}

// served is a world in which generation 1 serves with n sockets.
func served(n int8, foreign bool) world {
	w := world{started: 1}
	w.procs[1] = process{alive: true, gated: true, serving: true, foreign: foreign}
	for range n {
		w.group = w.listen(seat{owner: 1})
	}
	if !foreign {
		w.group = w.attach(below(int(n)))
	}
	return w
}

// A scenario is where an exploration begins, and how far it goes.
type scenario struct {
	generations int8
	first       int8 // sockets of generation 1, which serves
	later       int8 // working sockets of each that follows
	foreign     bool // generation 1 is none of ours, and steered by no program
}

func (p plan) in(s scenario) (worlds int, trace []string) {
	p.generations = s.generations
	for g := range p.sockets {
		p.sockets[g] = s.later
	}
	p.sockets[1] = s.first
	return p.explore(served(s.first, s.foreign))
}

func scenarios(generations, most int8) (all []scenario) {
	for first := range most {
		for later := range most {
			all = append(all, scenario{generations, first + 1, later + 1, false}, scenario{generations, first + 1, later + 1, true})
		}
	}
	return all
}

// Two generations with 1 to 4 sockets each are 160,000 worlds, three and four
// with fewer sockets 420,000.
func TestHandoversKeepTheInvariants(t *testing.T) {
	all := slices.Concat(scenarios(2, 4), scenarios(3, 2), scenarios(4, 1),
		[]scenario{{3, 1, 3, false}})
	sum := 0
	for _, s := range all {
		worlds, trace := plan{}.in(s)
		if trace != nil {
			t.Errorf("%+v:\n%s", s, strings.Join(trace, "\n"))
		}
		sum += worlds
	}
	t.Logf("%d worlds", sum)
}

func TestEveryMechanismIsNeeded(t *testing.T) {
	for _, c := range []struct {
		name   string
		broken plan
		want   string
	}{
		{"no hold", plan{noHold: true, noHoldAgain: true}, "I2"},
		{"no hold before listening", plan{noHold: true}, "I7"},
		{"no hold after listening", plan{noHoldAgain: true}, "I7"},
		{"no guard", plan{noGuard: true}, "I1"},
		{"no ballast", plan{ballastShort: maxMembers}, "I2"},
		{"one socket of ballast too few", plan{ballastShort: 1}, "I2"},
		{"close before flush", plan{noFlushOld: true}, "I3"},
		{"close own sockets before flush", plan{noFlushOwn: true}, "I3"},
		{"no settling", plan{noSettle: true}, "I7"},
		{"keep the highest", plan{keepHighest: true}, "I2"},
		{"keep no ballast", plan{keepWorking: true}, "I2"},
		{"nobody resumes", plan{noResume: true}, "I7"},
		{"resume after a hold", plan{lateResume: true}, "I2"},
		{"count the dead", plan{noAwaitDead: true}, "I7"},
		{"wait for ever", plan{noBound: true}, "I7"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, s := range slices.Concat(scenarios(2, 2), scenarios(3, 2)) {
				_, trace := c.broken.in(s)
				if trace == nil {
					continue
				}
				t.Logf("%+v:\n%s", s, strings.Join(trace, "\n"))
				if end := trace[len(trace)-1]; !strings.HasPrefix(end, c.want) {
					t.Errorf("want a broken %s", c.want)
				}
				return
			}
			t.Error("nothing breaks without it")
		})
	}
}

func TestBallastIsJustEnough(t *testing.T) {
	for _, s := range scenarios(2, 4) {
		_, trace := plan{ballastShort: 1}.in(s)
		if needed := s.first > 1; needed != (trace != nil) {
			t.Errorf("%+v with one socket fewer: broken %v, want %v", s, trace != nil, needed)
		}
	}
}
