package reuse

// A plan is the order of operations that every generation follows when it takes
// over, for generations of so many working sockets. Each other field takes one
// mechanism out, to see what it is for.
type plan struct {
	sockets     [maxGenerations + 1]int8
	generations int8 // how many, the first included

	noHold       bool // nobody attaches a program before the newcomer listens
	noHoldAgain  bool // nor does an active generation of ours after it
	noGuard      bool // sockets let clients in from the beginning
	ballastShort int8 // so many sockets of ballast fewer
	noFlushOld   bool // the old generation's sockets are closed whatever is queued on them
	noFlushOwn   bool // so are those that the newcomer gives up
	noSettle     bool // the newcomer keeps what it has
	keepHighest  bool // it keeps those at the end of the order
	keepWorking  bool // it keeps no ballast, whoever is still there
	noResume     bool // nobody attaches when the lock's holder dies
	lateResume   bool // somebody does, even after the next holder has asked for a hold
	noAwaitDead  bool // a newcomer that can ask nobody counts the sockets of the dead
	noBound      bool // the newcomer waits until the last socket of others has closed
}

// named returns the places that generation g has a program name: as many as it
// has working sockets, from its lowest.
func (p plan) named(w world, g int8) indices { return w.of(g).lowest(int(p.sockets[g])) }

// ballast is how many sockets a newcomer adds to its working ones, which stand
// last when they have joined. A close moves only the last member of the group.
// So whoever closes, in whichever order, ballast moves first; when it is used
// up one other is left, and once that has gone too every member is the newcomer's.
func (p plan) ballast(others int8) int8 { return max(0, others-1-p.ballastShort) }

// advance makes the next step of the lock's holder.
func (p plan) advance(w world, do yield) {
	s := w.step
	switch {
	case w.holder == 0:
	case s <= stepHoldAgainAttach:
		p.join(w, do)
	case s <= stepCutover:
		p.enter(w, do)
	case s <= stepAwaitOld:
		p.relieve(w, do)
	case s <= stepUnlock:
		p.settle(w, do)
	default:
		p.retreat(w, do)
	}
}

// join brings the newcomer's sockets into the group, while the program in force
// names the active generation and nobody else.
func (p plan) join(w world, do yield) {
	g, agent := w.holder, w.agent()
	said := move{g, w.step.String()}
	switch w.step {
	case stepHoldFind, stepHoldAgainFind:
		again := w.step == stepHoldAgainFind
		switch {
		case !again && (p.noHold || agent == 0), again && p.noHoldAgain && agent != 0:
			w.step += 2
		case agent == 0: // everybody who was there before: then marks work
			w.group = w.attach(below(int(w.others)))
			said.what = "attaches for all others"
			w.step += 2
		default:
			w.found[agent] = p.named(w, agent)
			w.step++
		}
	case stepHoldAttach, stepHoldAgainAttach:
		if agent == 0 || w.found[agent] == 0 { // it has died since
			w.step--
			break
		}
		w.group = w.attach(w.found[agent])
		w.found[agent] = 0
		w.procs[agent].resume = w.procs[agent].resume && p.lateResume
		w.step++
	case stepJoin:
		own := int8(w.of(g).count())
		if own == 0 {
			w.others = w.size
		}
		w.group = w.listen(seat{owner: g, guarded: !p.noGuard, working: own < p.sockets[g]})
		if own+1 == p.sockets[g]+p.ballast(w.others) {
			w.step++
		}
	}
	do(said, w, "")
}

// enter makes the newcomer the one that gets new connections, if it can.
func (p plan) enter(w world, do yield) {
	g, said := w.holder, move{w.holder, w.step.String()}
	me := &w.procs[g]
	switch w.step {
	case stepFind:
		if !w.prog.loaded {
			do(said, w, "no program is in force, so marks don't work")
			return
		}
		w.found[g] = w.places(func(m seat) bool { return m.owner == g && m.working })
		w.others, w.moved = 0, false // of no use from here on
	case stepGate:
		failed := w
		failed.found[g], failed.procs[g].leaving, failed.step = 0, true, stepLeave
		do(move{g, "does not pass its gate"}, failed, "")
		me.gated = true
	case stepAdmit:
		for i := range w.members[:w.size] {
			if w.members[i].owner == g {
				w.members[i].guarded, w.members[i].working = false, false
			}
		}
	case stepCutover:
		w.group = w.attach(w.found[g])
		w.found[g], me.serving = 0, true
	}
	w.step++
	do(said, w, "")
}

// relieve ends the old generation's part, or goes back to it. The wait for the
// old sockets to close has a bound, so it may end at any time.
func (p plan) relieve(w world, do yield) {
	g, said := w.holder, move{w.holder, w.step.String()}
	switch w.step {
	case stepFlushOld:
		if w.active() != 0 {
			back := w
			back.step = stepBackFind
			do(move{g, "is not well: cut back"}, back, "")
		}
		// A stopped process accepts nothing: it isn't waited for beyond a bound.
		if !p.noFlushOld && w.queuedFor(func(m seat) bool { return m.owner != g && !w.procs[m.owner].stopped }) {
			return
		}
	case stepAwaitOld:
		if p.noBound && w.of(g) != below(int(w.size)) {
			return
		}
	case stepTellOld:
		for o := range w.procs {
			if w.procs[o].fit() && int8(o) != g {
				w.procs[o].leaving, w.procs[o].resume, w.found[o] = true, false, 0
			}
		}
	}
	w.step++
	do(said, w, "")
}

// settle closes what the newcomer doesn't need any more.
func (p plan) settle(w world, do yield) {
	g, said := w.holder, move{w.holder, w.step.String()}
	mine := func(m seat) bool { return m.owner == g && m.leaving }
	switch w.step {
	case stepSettleFind:
		w.alone = w.of(g) == below(int(w.size))
		if p.noSettle {
			w.step = stepUnlock
			do(move{g, "settles for all it has"}, w, "")
			return
		}
		w = p.choose(w)
	case stepSettleAttach:
		w.group = w.attach(w.found[g])
		w.found[g] = 0
	case stepSettleFlush:
		if !p.noFlushOwn && w.queuedFor(mine) {
			return
		}
	case stepSettleClose: // from the highest down; any other order does as well
		if going := w.places(mine); going != 0 {
			w.shut(going.highest(), said, do)
			return
		}
	case stepUnlock:
		do(said, w.unlocked(), "")
		return
	}
	w.step++
	do(said, w, "")
}

// choose marks what the newcomer keeps: the working sockets, now those at its
// lowest places, and ballast for as long as others may still close theirs: it
// never has fewer sockets than the highest index that the program names. Then a
// group with two others left is too long for a named socket to be the last.
func (p plan) choose(w world) world {
	g, m := w.holder, int(p.sockets[w.holder])
	own := w.of(g)
	named := own.lowest(m)
	if p.keepHighest {
		named = own &^ own.lowest(own.count()-m)
	}
	keep := named | own.lowest(max(m, named.highest()))
	if p.keepWorking || p.keepHighest {
		keep = named
	}
	for i := range w.members[:w.size] {
		if own.has(i) {
			w.members[i].leaving = !keep.has(i)
		}
	}
	w.found[g] = named
	return w
}

// retreat leaves the group to the old generation.
func (p plan) retreat(w world, do yield) {
	g, said := w.holder, move{w.holder, w.step.String()}
	old := w.active()
	switch w.step {
	case stepBackFind, stepBackAttach:
		if old == 0 || w.step == stepBackAttach && w.found[old] == 0 { // it has died since
			w.found[g], w.step = 0, stepFlushOld
			do(move{g, "has nobody to cut back to"}, w, "")
			return
		}
		if w.step == stepBackFind {
			w.found[old] = p.named(w, old)
			if w.procs[old].foreign {
				w.found[old] = below(int(w.size)) &^ w.of(g)
			}
			break
		}
		w.group = w.attach(w.found[old])
		w.found[old], w.procs[g].leaving = 0, true
	case stepBackFlush:
		if !p.noFlushOwn && w.queuedFor(func(m seat) bool { return m.owner == g }) {
			return
		}
	case stepLeave:
		if own := w.of(g); own != 0 {
			w.shut(own.highest(), said, do)
			return
		}
		w.procs[g] = process{}
		do(move{g, "exits"}, w.unlocked(), "")
		return
	}
	w.step++
	do(said, w, "")
}

// resumes is what an old generation does that has seen the lock's holder die.
// A hold that is asked of it in between takes the place of this.
func (p plan) resumes(w world, do yield) {
	for g := int8(1); g <= w.started; g++ {
		if !w.procs[g].resume || !w.procs[g].fit() || p.noResume {
			continue
		}
		next := w
		if w.found[g] == 0 {
			next.found[g] = p.named(w, g)
			do(move{g, "finds its indices, alone"}, next, "")
			continue
		}
		next.group = w.attach(w.found[g])
		next.found[g], next.procs[g].resume = 0, false
		do(move{g, "attaches, alone"}, next, "")
	}
}

// begin starts the next generation, which takes the lock. One that finds no
// agent to hold the group takes everybody in it for a server, so it waits until
// the sockets of processes that have been killed are gone.
func (p plan) begin(w world, do yield) {
	if w.holder != 0 || w.started == p.generations {
		return
	}
	if !p.noAwaitDead && w.agent() == 0 && w.of(0) != 0 {
		return
	}
	w.started++
	w.holder = w.started
	w.procs[w.holder].alive = true
	do(move{w.holder, "locks"}, w, "")
}
