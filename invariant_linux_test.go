package handover_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gohandover/handover/internal/load"
)

// at makes something happen at a turn of a version's life, see spec.turn.
func at(turn, what string) func(*spec) {
	return func(s *spec) { s.At = map[string]string{turn: what} }
}

func startTimeout(d time.Duration) func(*spec) { return func(s *spec) { s.Start = d } }

// I1: a version that has not passed its gate gets no client, and says why.
func TestUnhealthyVersionGetsNoClient(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*spec)
		says   []string
	}{
		{"a probe that fails", func(s *spec) { s.Sick = true }, []string{"GET http://", "/readyz", "503", "db: connection refused"}},
		{"a check that fails", func(s *spec) { s.Check = "no route to host" }, []string{"db", "no route to host"}},
		{"a check that hangs", at("checked", "block"), []string{"checks", "no answer"}},
		{"no Accept", func(s *spec) { s.Role, s.Probes, s.Start = "mute", nil, 3*time.Second }, []string{"the server has not called Accept"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, spec{Probes: []string{"/readyz"}})
			f.serve()
			l := drive(t, load.Config{Address: f.address(), Clients: 8})
			awaitAnswers(t, l, "v1")
			sick := f.start(startTimeout(time.Second), test.change)
			sick.wantExit(exitError, append(test.says, "handover failed at gate (the running version was not touched)")...)
			r := wantNoneLost(t, l)
			if n := r.Total.Versions[sick.Version]; n > 0 {
				t.Errorf("%d requests were answered by a version that was never healthy", n)
			}
			if sick.has("cutover") || sick.has("ready") {
				t.Errorf("hooks were called: %q", sick.said())
			}
		})
	}
}

// I1: the guard keeps clients out though the death of the old version moves the
// candidate to the place that the program names.
func TestUnhealthyVersionGetsNoClientThoughTheOldOneIsKilled(t *testing.T) {
	t.Parallel()
	f := newFleet(t, spec{Probes: []string{"/readyz"}})
	old := f.serve()
	sick := f.start(func(s *spec) { s.Sick, s.Start = true, 3*time.Second })
	sick.await("checked")
	old.kill()
	var answers []<-chan string
	for range 5 {
		answers = append(answers, ask(f.address(), "/version"))
	}
	sick.wantExit(exitError, "503")
	for _, a := range answers {
		if got := <-a; !strings.HasPrefix(got, "error: ") {
			t.Errorf("a client was answered %q", got)
		}
	}
	f.serve()
}

// I1: the program in force is not to be trusted: a version that died right
// after its cutover leaves one that would send everything to the next candidate.
func TestStaleProgramIsReplacedBeforeACandidateListens(t *testing.T) {
	t.Parallel()
	f := newFleet(t, spec{})
	f.serve()
	f.start(at("cutover", "exit")).wantExit(exitTurn)
	candidate := f.start(at("checked", "block"), startTimeout(20*time.Second))
	candidate.await("checked")
	wantVersion(t, f.address(), "v1", 10)
	if candidate.state() == "" {
		t.Error("clients were answered only when the candidate had gone")
	}
	candidate.kill()
	wantVersion(t, f.address(), "v1", 10)
}

// I2: from the cutover on the old version gets no new connection, though it is
// still listening.
func TestOldVersionGetsNoConnectionAfterTheCutover(t *testing.T) {
	t.Parallel()
	f := newFleet(t, spec{Tell: true})
	old := f.serve()
	wantVersion(t, f.address(), "v1", 1)
	next := f.start(at("cutover", "wait"))
	next.await("cutover")
	if inodes := listening(t, old); len(inodes) == 0 {
		t.Fatal("the old version has closed its listener already")
	}
	before := len(old.said())
	wantVersion(t, f.address(), "v2", 200)
	if late := old.said()[before:]; len(late) > 0 {
		t.Errorf("the old version after the cutover: %q", late)
	}
	next.tell("go")
	old.wantExit(0)
	next.await("ready")
}

// I5: whatever happens to a candidate before its cutover, the running version
// does not notice.
func TestFailureBeforeTheCutoverIsNotNoticed(t *testing.T) {
	for _, test := range []struct {
		turn, what string
		code       int
		says       string
	}{
		{"starting", "fail", exitError, "handover failed at prepare (the running version was not touched): no luck at starting"},
		{"starting", "exit", exitTurn, ""},
		{"starting", "block", -1, ""},
		{"checked", "exit", exitTurn, ""},
		{"checked", "block", -1, ""},
	} {
		t.Run(test.turn+" "+test.what, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, spec{})
			old := f.serve()
			l := drive(t, load.Config{Address: f.address(), Clients: 8})
			awaitAnswers(t, l, "v1")
			candidate := f.start(at(test.turn, test.what))
			candidate.await(test.turn)
			if test.what == "block" {
				candidate.kill()
			}
			candidate.wantExit(test.code, test.says)
			wantVersion(t, f.address(), "v1", 20)
			takeOver(t, f, old, 1, l)
			if r := wantNoneLost(t, l); r.Total.Versions[candidate.Version] > 0 {
				t.Error("the candidate has answered requests")
			}
		})
	}
}

// I5: after the cutover, failing means cutting back.
func TestDeathAfterTheCutoverCutsBack(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*spec)
	}{
		{"in a hook", at("cutover", "exit")},
		{"by a kill before the old one is told", at("cutover", "wait")},
		{"by a kill while the old one is parked", func(s *spec) { s.Bake = time.Minute }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, spec{})
			old := f.serve()
			next := f.start(test.change)
			next.await("cutover")
			if next.At["cutover"] != "exit" {
				wantVersion(t, f.address(), "v2", 1)
				next.kill()
			}
			next.exit()
			wantVersion(t, f.address(), "v1", 20)
			takeOver(t, f, old, 2)
		})
	}
}

// I5: a version whose health falls, or that is told to stop, while the old one
// is still behind it gives the clients back.
func TestFailureWhileTheOldOneIsParkedCutsBack(t *testing.T) {
	for _, test := range []struct {
		name string
		fail func(*server)
		says string
	}{
		{"health that falls", func(p *server) { p.tell("sick") }, "db: fell ill"},
		{"a signal", func(p *server) { p.signal(syscall.SIGTERM) }, "told to stop"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, spec{})
			old := f.serve()
			l := drive(t, load.Config{Address: f.address(), Clients: 8})
			next := f.start(func(s *spec) { s.Bake = time.Minute })
			next.await("cutover")
			awaitAnswers(t, l, next.Version)
			test.fail(next)
			next.wantExit(exitError, "handover failed at bake (cut back to the running version)", test.says)
			wantVersion(t, f.address(), "v1", 20)
			takeOver(t, f, old, 1, l)
			wantNoneLost(t, l)
		})
	}
}

// I5: cutting back doesn't wait for the version that has failed: the old one gets
// new connections while that one still empties its queue.
func TestCutBackIsAtOnce(t *testing.T) {
	t.Parallel()
	f := newFleet(t, spec{Role: "lazy"})
	old := f.serve()
	next := f.start(func(s *spec) { s.Bake = time.Minute })
	next.await("cutover")
	next.stall()
	waiting := queue(t, f.address(), 5)
	next.tell("sick")
	eventually(t, "the old version has the clients back", func() bool {
		c := dial(t, f.address())
		defer c.Close()
		c.SetDeadline(time.Now().Add(200 * time.Millisecond))
		greeting, _ := bufio.NewReader(c).ReadString('\n')
		return greeting == old.Version+"\n"
	})
	if len(listening(t, next)) == 0 {
		t.Error("the old version had the clients back only when the new one had closed its listener")
	}
	next.tell("all")
	wantGreeting(t, waiting, next.Version)
	next.wantExit(exitError, "handover failed at bake")
	takeOver(t, f, old, 1)
}

// I6: every version makes its own sockets.
func TestNoListeningSocketCrosses(t *testing.T) {
	t.Parallel()
	f := newFleet(t, spec{Addresses: []string{"127.0.0.1:0", "[::1]:0"}})
	old := f.serve()
	next := f.start(at("cutover", "wait"))
	next.await("cutover")
	olds, news := listening(t, old), listening(t, next)
	if len(olds) < 2 || len(news) < 2 {
		t.Fatalf("sockets of the old version: %v, of the new one: %v", olds, news)
	}
	for inode := range olds {
		if news[inode] {
			t.Errorf("both have socket %s", inode)
		}
	}
	next.tell("go")
	old.wantExit(0)
}

// listening returns the inodes of the TCP sockets that a process listens on, as
// they are in /proc.
func listening(t *testing.T, p *server) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for _, table := range []string{"tcp", "tcp6"} {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", p.pid(), table))
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(b), "\n") {
			if w := strings.Fields(line); len(w) > 9 && w[3] == "0A" {
				all[w[9]] = true
			}
		}
	}
	own := map[string]bool{}
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p.pid()))
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		link, _ := os.Readlink(fd) // one that has just been closed is none
		if inode := strings.TrimSuffix(strings.TrimPrefix(link, "socket:["), "]"); all[inode] {
			own[inode] = true
		}
	}
	return own
}
