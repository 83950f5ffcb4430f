package reuse

import (
	"fmt"
	"math/bits"
	"strings"
	"testing"
)

// This file states the rules of the kernel's reuseport group as a pure model,
// and how the processes of a hand-over behave on it. explore_test.go walks
// through everything that can happen.

// A group is what the kernel knows: the members in their order, and the
// program in force. Its methods return the group afterwards.
type group struct {
	members [maxMembers]seat
	size    int8
	prog    program
}

const maxMembers = 16

// A seat is one listening socket.
type seat struct {
	owner   int8 // generation, from 1; 0 for one that was killed
	guarded bool // drops the SYNs of clients, who try again later
	queued  bool // a client's connection waits to be accepted
	working bool // of those that its owner wants named by the program, not ballast
	leaving bool // its owner has decided to close it
}

// A program names members by their indices (a [Plan]); none named means the hash.
type program struct {
	loaded bool
	named  indices
}

// indices is a set of places in the group's order.
type indices uint32

func below(n int) indices        { return 1<<n - 1 }
func (s indices) has(i int) bool { return s>>i&1 != 0 }
func (s indices) highest() int   { return bits.Len32(uint32(s)) - 1 }
func (s indices) count() int     { return bits.OnesCount32(uint32(s)) }
func (s indices) lowest(n int) indices {
	for s.count() > n {
		s &^= 1 << s.highest()
	}
	return s
}

// listen appends.
func (g group) listen(m seat) group {
	g.members[g.size] = m
	g.size++
	return g
}

// close moves the last member into the hole. The program stays as it is, and
// ends with the last member.
func (g group) close(i int) group {
	g.size--
	g.members[i] = g.members[g.size]
	g.members[g.size] = seat{}
	if g.size == 0 {
		g.prog = program{}
	}
	return g
}

// attach replaces the program for the whole group.
func (g group) attach(named indices) group {
	g.prog = program{loaded: true, named: named}
	return g
}

// reach returns the members one of which gets the next connection. A program
// that names an index outside of the group, or none, leaves the choice to the
// hash over all members.
func (g group) reach() indices {
	all := below(int(g.size))
	if g.prog.named == 0 || g.prog.named&^all != 0 {
		return all
	}
	return g.prog.named
}

// String shows the order: the owners, in brackets where guarded, and what is named.
func (g group) String() string {
	var b strings.Builder
	for i, m := range g.members[:g.size] {
		name := fmt.Sprintf("%d", m.owner)
		if m.guarded {
			name = "(" + name + ")"
		}
		if g.prog.named.has(i) {
			name = "->" + name
		}
		b.WriteString(name + " ")
	}
	return fmt.Sprintf("[ %s] named %b", b.String(), g.prog.named)
}

// A process is what there is of a generation besides its members.
type process struct {
	alive   bool
	foreign bool // listens with SO_REUSEPORT and knows nothing of all this
	gated   bool // has passed its gate
	serving bool // has been cut over to, and may be fallen back on
	leaving bool // closes its members, whoever else may be there
	stopped bool // by SIGSTOP, for ever
	resume  bool // has seen the lock's holder die and is going to attach its own program
}

// A world is a group, its processes, and how far the hand-over under way has
// come. A comparable value, so that it can be known again.
type world struct {
	group
	procs   [maxGenerations + 1]process
	found   [maxGenerations + 1]indices // where each has seen itself when it looked last
	started int8                        // generations begun so far
	holder  int8                        // generation that holds the lock, 0 for none
	step    step
	others  int8 // members of others that the holder counted before it listened
	alone   bool // the holder saw no member of others when it settled
	moved   bool // a member has closed since the hold
}

const maxGenerations = 4

// A step is what the holder of the lock does next.
type step int8

const (
	stepHoldFind step = iota
	stepHoldAttach
	stepJoin
	stepHoldAgainFind
	stepHoldAgainAttach
	stepFind
	stepGate
	stepAdmit
	stepCutover
	stepFlushOld
	stepTellOld
	stepAwaitOld
	stepSettleFind
	stepSettleAttach
	stepSettleFlush
	stepSettleClose
	stepUnlock
	stepBackFind
	stepBackAttach
	stepBackFlush
	stepLeave
)

func (s step) String() string {
	return [...]string{"finds the active one's indices", "active one attaches", "listens", "active one finds its indices again",
		"active one attaches again", "finds its indices", "passes its gate", "clears its guards", "attaches", "saw the old queues empty",
		"tells the old one to close", "has waited for the old one", "finds what to keep", "attaches for what it keeps",
		"saw its own queues empty", "closes what it doesn't keep", "unlocks", "old one finds its indices", "old one attaches",
		"saw its own queues empty before it leaves", "closes a socket of its own"}[s]
}

// afterCutover tells whether all new connections must go to the lock's holder.
func (s step) afterCutover() bool { return s > stepCutover && s <= stepBackAttach }

// fit tells whether a process can serve clients, if they get to it.
func (p process) fit() bool {
	return p.alive && p.gated && p.serving && !p.stopped && !p.leaving
}

// active returns the newest generation but the lock's holder that serves or
// could, 0 for none.
func (w world) active() int8 {
	for g := w.started; g > 0; g-- {
		if g != w.holder && w.procs[g].fit() && w.of(g) != 0 {
			return g
		}
	}
	return 0
}

// agent is active, if it can be asked to do anything.
func (w world) agent() int8 {
	if g := w.active(); !w.procs[g].foreign {
		return g
	}
	return 0
}

// queuedFor tells whether a connection waits on a member that which selects.
func (w world) queuedFor(which func(seat) bool) bool {
	return w.places(func(m seat) bool { return m.queued && which(m) }) != 0
}

// kill is SIGKILL: the members close one after the other. What was queued on
// them is lost, which is the killer's affair.
func (w world) kill(g int8) world {
	w = w.forget(g)
	for i := range w.members[:w.size] {
		if w.members[i].owner == g {
			w.members[i] = seat{} // of nobody: all the dead are alike
		}
	}
	w.procs[g], w.found[g] = process{}, 0
	if w.holder == g {
		w = w.unlocked()
		if a := w.agent(); a != 0 {
			w.procs[a].resume = true
		}
	}
	return w
}

// stop is SIGSTOP.
func (w world) stop(g int8) world {
	w.procs[g], w.found[g] = process{alive: true, gated: true, stopped: true}, 0
	return w.forget(g)
}

// forget lets the connections go that a killed or stopped process has queued.
func (w world) forget(g int8) world {
	for i := range w.members[:w.size] {
		if w.members[i].owner == g {
			w.members[i].queued = false
		}
	}
	return w
}

// shut closes one member. Its process is gone when that was the last.
func (w world) shut(i int, said move, do yield) {
	broken := ""
	if w.members[i].queued {
		broken = "I3: a connection is lost"
	}
	g := w.members[i].owner
	w.group = w.close(i)
	w.moved = w.moved || w.holder != 0 && w.step <= stepHoldAgainAttach && g != w.holder
	if w.of(g) == 0 && g != w.holder {
		w.procs[g], w.found[g] = process{}, 0
	}
	do(said, w, broken)
}

// places returns the indices of the members that which selects.
func (w world) places(which func(seat) bool) indices {
	var s indices
	for i, m := range w.members[:w.size] {
		if which(m) {
			s |= 1 << i
		}
	}
	return s
}

// of returns the places of a generation's members.
func (w world) of(g int8) indices {
	return w.places(func(m seat) bool { return m.owner == g })
}

// unlocked is the world when the lock's holder has let go of it.
func (w world) unlocked() world {
	w.holder, w.step, w.others, w.alone, w.moved = 0, 0, 0, false, false
	return w
}

// A move is one of the things that can happen next.
type move struct {
	gen  int8 // who does it or whom it befalls, 0 for a client
	what string
}

// A yield is told a move and the world after it, or the invariant that it breaks.
type yield func(m move, after world, broken string)

func (m move) String() string {
	if m.gen == 0 {
		return m.what
	}
	return fmt.Sprintf("generation %d %s", m.gen, m.what)
}

// events are the moves that nobody plans: clients, signals, and processes that
// close what they have in whichever order.
func (w world) events(do yield) {
	w.clients(do)
	for i, m := range w.members[:w.size] {
		p := w.procs[m.owner]
		switch {
		case !p.alive:
			w.shut(i, move{0, "a socket of a dead process closes"}, do)
		case p.leaving && !p.stopped && m.owner != w.holder:
			w.shut(i, move{m.owner, "closes a socket"}, do)
		}
	}
	for g := int8(1); g <= w.started; g++ {
		p := w.procs[g]
		if !p.alive {
			continue
		}
		do(move{g, "is killed"}, w.kill(g), "")
		if g != w.holder && !p.stopped {
			do(move{g, "is stopped"}, w.stop(g), "")
		}
		if p.foreign && p.fit() && w.step.afterCutover() && !w.queuedFor(func(m seat) bool { return m.owner == g }) {
			w := w
			w.procs[g].leaving = true
			do(move{g, "leaves without telling"}, w, "")
		}
	}
}

// clients come and are accepted. One at a time is enough: whether it is lost
// doesn't hang on others. To come is one step here: a SYN that another processor
// selected a member for before the cutover counts as queued already, and that
// Flush looks twice is what makes this so.
func (w world) clients(do yield) {
	waiting, reached := w.places(func(m seat) bool { return m.queued }), w.reach()
	for i, m := range w.members[:w.size] {
		p, next := w.procs[m.owner], w
		switch {
		case waiting.has(i):
			next.members[i].queued = false
			do(move{m.owner, "accepts"}, next, "")
		// One that gets to a server on its way out comes when nobody else is there.
		case waiting == 0 && reached.has(i) && !m.guarded && p.alive && !p.stopped && !p.leaving:
			next.members[i].queued = true
			do(move{0, fmt.Sprintf("a client is queued for generation %d", m.owner)}, next, "")
		}
	}
}

func TestGroupModel(t *testing.T) {
	g := group{}.listen(seat{owner: 1}).listen(seat{owner: 2}).listen(seat{owner: 3})
	if got := g.reach(); got != 0b111 {
		t.Errorf("without a program %b are reached, want all", got)
	}
	g = g.attach(0b100)
	if got := g.reach(); got != 0b100 {
		t.Errorf("the program names the last, %b are reached", got)
	}
	g = g.close(0)
	if g.members[0].owner != 3 || g.members[1].owner != 2 || g.size != 2 {
		t.Errorf("the last member did not move into the hole: %v", g.members[:g.size])
	}
	if got := g.reach(); got != 0b11 {
		t.Errorf("the program names an index outside, %b are reached, want all", got)
	}
	if g = g.close(0).close(0); g.prog.loaded {
		t.Error("the program outlived the group")
	}
}
