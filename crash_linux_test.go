package handover_test

import (
	"bufio"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/gohandover/handover/internal/load"
)

// I7: the old version may be killed at any turn of its successor.
func TestOldVersionIsKilledAt(t *testing.T) {
	for _, turn := range []string{"starting", "checked", "cutover", "ready"} {
		t.Run(turn, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, spec{Addresses: []string{"127.0.0.1:0", "[::1]:0"}})
			old := f.serve()
			ask(f.address(), "/forever") // so that it has not ended by itself when it is killed
			old.await("serving /forever")
			next := f.start(at(turn, "wait"))
			next.await(turn)
			old.kill()
			next.tell("go")
			next.await("ready")
			wantVersion(t, f.address(), "v2", 20)
			wantVersion(t, f.base.Addresses[1], "v2", 20)
			takeOver(t, f, next, 2)
		})
	}
}

// I7: the new version may be killed while the old one empties its queue: then
// the old one finds out that it is to serve on.
func TestNewVersionIsKilledWhileTheOldOneFlushes(t *testing.T) {
	t.Parallel()
	f := newFleet(t, spec{Role: "lazy"})
	old := f.serve()
	old.stall()
	waiting := queue(t, f.address(), 10)
	next := f.start(at("cutover", "wait"))
	next.await("cutover")
	idle := len(openFiles(t, old))
	next.tell("go")
	eventually(t, "the old version is asked to drain", func() bool { return len(openFiles(t, old)) > idle })
	next.kill()
	waiting = append(waiting, queue(t, f.address(), 5)...)
	old.tell("all")
	wantGreeting(t, waiting, "v1")
	takeOver(t, f, old, 2)
}

// I7: the old version may be killed while it empties its queue; nobody waits
// for it then.
func TestOldVersionIsKilledWhileItFlushes(t *testing.T) {
	t.Parallel()
	f := newFleet(t, spec{Role: "lazy", Flush: 2 * patience})
	old := f.serve()
	old.stall()
	queue(t, f.address(), 10)
	next := f.start(at("cutover", "wait"), func(s *spec) { s.Role = "tcp" })
	next.await("cutover")
	idle := len(openFiles(t, old))
	next.tell("go")
	eventually(t, "the old version is asked to drain", func() bool { return len(openFiles(t, old)) > idle })
	old.kill()
	next.await("ready")
	wantGreeting(t, queue(t, f.address(), 5), "v2")
}

// Two candidates at once take over one after the other.
func TestTwoCandidatesAtOnce(t *testing.T) {
	t.Parallel()
	f := newFleet(t, spec{})
	old := f.serve()
	l := drive(t, load.Config{Address: f.address(), Clients: 12})
	awaitAnswers(t, l, "v1")
	one, two := f.start(), f.start()
	old.wantExit(0)
	one.await("ready")
	two.await("ready")
	first, second := one, two
	if one.awaitWord("ready", "gen") == "3" {
		first, second = two, one
	}
	first.wantExit(0)
	awaitAnswers(t, l, second.Version)
	wantNoneLost(t, l)
	if g1, g2 := first.awaitWord("ready", "gen"), second.awaitWord("ready", "gen"); g1 != "2" || g2 != "3" {
		t.Errorf("generations %s and %s; want 2 and 3", g1, g2)
	}
}

// A candidate that is told to stop while it waits for its turn, or is being
// checked, ends, and the running version is as it was.
func TestCandidateIsToldToStop(t *testing.T) {
	for _, turn := range []string{"starting", "checked"} {
		t.Run(turn, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, spec{})
			old := f.serve()
			first := f.start(at(turn, "wait"))
			first.await(turn)
			waiting := f.start()
			eventually(t, "the second waits", func() bool { return waiting.logs("another handover of service") })
			waiting.signal(syscall.SIGTERM)
			waiting.wantExit(exitError, "handover failed at lock", "told to stop")
			first.signal(syscall.SIGINT)
			first.wantExit(exitError, "the running version was not touched", "told to stop")
			wantVersion(t, f.address(), "v1", 5)
			takeOver(t, f, old, 1)
		})
	}
}

// An old version that is told to stop during a handover waits to be relieved.
func TestOldVersionIsToldToStop(t *testing.T) {
	t.Parallel()
	f := newFleet(t, spec{})
	old := f.serve()
	l := drive(t, load.Config{Address: f.address(), Clients: 8})
	awaitAnswers(t, l, "v1")
	next := f.start(at("checked", "wait"))
	next.await("checked")
	old.signal(syscall.SIGTERM)
	eventually(t, "the signal has been seen", func() bool { return old.logs("signal=terminated") })
	next.tell("go")
	next.await("ready")
	old.wantExit(0)
	awaitAnswers(t, l, "v2")
	wantNoneLost(t, l)
}

// A version may still have something to finish when its successor is relieved.
func TestSeveralVersionsDrainAtOnce(t *testing.T) {
	t.Parallel()
	f := newFleet(t, spec{Role: "tcp"})
	var olds []*server
	var clients []net.Conn
	for range 3 {
		p := f.serve()
		c := dial(t, f.address())
		if got, err := bufio.NewReader(c).ReadString('\n'); err != nil || got != p.Version+"\n" {
			t.Fatalf("greeting %q (%v); want %s", got, err, p.Version)
		}
		olds, clients = append(olds, p), append(clients, c)
	}
	last := f.serve()
	for i, p := range olds {
		echo(t, clients[i], bufio.NewReader(clients[i]), "hello")
		clients[i].Close()
		p.wantExit(0)
	}
	wantGreeting(t, []net.Conn{dial(t, f.address())}, last.Version)
}

// After a crash there is nothing to clean up.
func TestStartAfterAllWereKilled(t *testing.T) {
	t.Parallel()
	f := newFleet(t, spec{})
	old := f.serve()
	next := f.start(at("cutover", "wait"))
	next.await("cutover")
	next.kill()
	old.kill()
	last := f.serve()
	wantVersion(t, f.address(), last.Version, 5)
	takeOver(t, f, last, 1)
}

// A candidate waits for another handover only so long.
func TestLockTimeout(t *testing.T) {
	t.Parallel()
	f := newFleet(t, spec{})
	f.serve()
	first := f.start(at("starting", "wait"))
	first.await("starting")
	f.start(func(s *spec) { s.Lock = 200 * time.Millisecond }).
		wantExit(exitError, "handover failed at lock", "another handover of service", "waited 200ms for it to end")
	first.tell("go")
	first.await("ready")
}

// An old version that doesn't run holds nobody up, and ends when it runs again.
func TestStoppedVersionIsPassedBy(t *testing.T) {
	t.Parallel()
	f := newFleet(t, spec{Flush: 300 * time.Millisecond})
	old := f.serve()
	old.stop()
	stuck := drive(t, load.Config{Address: f.address(), Clients: 6, Timeout: 2 * patience})
	eventually(t, "clients wait for the stopped version", func() bool { return stuck.Stats().Total.InFlight == 6 })
	next := f.serve()
	next.wantLogged("doesn't answer on its control socket", "has not closed it")
	l := drive(t, load.Config{Address: f.address(), Clients: 8})
	awaitAnswers(t, l, "v2")
	third := f.serve()
	next.wantExit(0)
	awaitAnswers(t, l, "v3")
	old.signal(syscall.SIGCONT)
	old.wantExit(0)
	if n := wantNoneLost(t, l).Total.Versions["v1"]; n > 0 {
		t.Errorf("%d requests that came after the cutover were answered by the stopped version", n)
	}
	if wantNoneLost(t, stuck).Total.Versions["v1"] == 0 {
		t.Error("no request that waited for the stopped version was answered by it")
	}
	last := takeOver(t, f, third, 1)
	if n := len(listening(t, last)); n != 1 {
		t.Errorf("%d sockets are left of what the handovers needed; want 1", n)
	}
}

// So it is if the old version stops when it had answered already.
func TestVersionThatStopsDuringTheHandoverIsPassedBy(t *testing.T) {
	t.Parallel()
	f := newFleet(t, spec{Flush: 300 * time.Millisecond})
	old := f.serve()
	next := f.start(at("checked", "wait"))
	next.await("checked")
	old.stop()
	next.tell("go")
	next.await("ready")
	next.wantLogged("has not closed it")
	wantVersion(t, f.address(), "v2", 20)
	old.signal(syscall.SIGCONT)
	old.wantExit(0)
	wantVersion(t, f.address(), "v2", 20)
	takeOver(t, f, next, 1)
}

// So it is if the old version is to stay behind the new one for a while.
func TestVersionThatStopsBeforeItIsParkedIsPassedBy(t *testing.T) {
	t.Parallel()
	f := newFleet(t, spec{Flush: 300 * time.Millisecond})
	old := f.serve()
	next := f.start(func(s *spec) { s.Bake = 300 * time.Millisecond }, at("cutover", "wait"))
	next.await("cutover")
	old.stop()
	next.tell("go")
	next.await("ready")
	next.wantLogged("could not be parked", "has not closed it")
	old.signal(syscall.SIGCONT)
	old.wantExit(0)
	wantVersion(t, f.address(), "v2", 20)
}
