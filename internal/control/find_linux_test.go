package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPeersOfAService(t *testing.T) {
	service := newService(t)
	var want []string
	for range 2 {
		s, err := Listen(service, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		want = append(want, s.Peer().Name)
	}
	slices.Sort(want)
	foreign := fmt.Sprintf("@handover/%d/%s/%s", os.Geteuid()+1, service, NewInstance())
	for _, name := range []string{
		foreign,
		"@handover/0/" + service + "/lock",
		fmt.Sprintf("@handover/%d/%s-other/%s", os.Geteuid(), service, NewInstance()),
		fmt.Sprintf("@x\n@handover/%d/%s/%s", os.Geteuid(), service, NewInstance()),
	} {
		ln, err := net.Listen("unix", name)
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
	}
	gone, err := Listen(service, Options{})
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()

	// An accepted connection carries the name of its listener as well.
	conn := dialRaw(t, want[0])
	defer conn.Close()
	peers, err := Peers(testContext(t), service)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range peers {
		got = append(got, p.Name)
	}
	if want = append(want, foreign); !slices.Equal(got, want) {
		t.Errorf("Peers:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if _, err := Peers(testContext(t), "a/b"); err == nil {
		t.Error("bad service name accepted")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Peers(ctx, service); !errors.Is(err, context.Canceled) {
		t.Errorf("Peers with an ended context: %v", err)
	}
}

func TestServicesAreGrouped(t *testing.T) {
	a, b := startServer(t, &fakeAgent{}, Options{}, nil), startServer(t, &fakeAgent{}, Options{}, nil)
	second, err := Listen(a.Peer().Service, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	all, err := Services(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]int)
	for _, s := range all {
		if s.UID == os.Geteuid() {
			found[s.Name] += len(s.Peers)
		}
	}
	if found[a.Peer().Service] != 2 || found[b.Peer().Service] != 1 {
		t.Errorf("services found: %v", found)
	}
}

func TestQueryAllTellsWhoDoesNotAnswer(t *testing.T) {
	good := startServer(t, &fakeAgent{status: Status{Generation: 7}}, Options{}, nil)
	deaf, err := Listen(newService(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	gone, err := newPeer(newService(t), NewInstance(), "")
	if err != nil {
		t.Fatal(err)
	}
	peers := []Peer{deaf.Peer(), good.Peer(), gone}
	answers := QueryAll(testContext(t), peers, QueryOptions{Timeout: 200 * time.Millisecond, Parallel: 2})
	if len(answers) != 3 || answers[0].Peer != peers[0] || answers[2].Peer != peers[2] {
		t.Fatalf("answers: %+v", answers)
	}
	if !errors.Is(answers[0].Err, ErrDeaf) || answers[1].Err != nil || !errors.Is(answers[2].Err, ErrGone) {
		t.Errorf("errors: %v, %v, %v", answers[0].Err, answers[1].Err, answers[2].Err)
	}
	if answers[1].Status.Generation != 7 {
		t.Errorf("status: %+v", answers[1].Status)
	}
}

func TestSocketsInADirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	f := Finder{Dir: dir}
	service := newService(t)
	if peers, err := f.Peers(testContext(t), service); err != nil || len(peers) != 0 {
		t.Errorf("Peers without the directory = %v, %v", peers, err)
	}
	s := startServer(t, &fakeAgent{}, Options{Dir: dir}, nil)
	for name, want := range map[string]os.FileMode{dir: 0o700 | os.ModeDir, s.Peer().Name: 0o600 | os.ModeSocket} {
		if info, err := os.Stat(name); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v, want mode %v", name, info, err, want)
		}
	}
	peers, err := f.Peers(testContext(t), s.Peer().Service)
	if err != nil || len(peers) != 1 || peers[0] != s.Peer() {
		t.Fatalf("Peers = %v, %v", peers, err)
	}
	if _, err := NewClient(peers[0], ClientOptions{}).Status(testContext(t)); err != nil {
		t.Errorf("Status: %v", err)
	}
	if ok, err := f.Alive(testContext(t), s.Peer().Instance); !ok || err != nil {
		t.Errorf("Alive = %v, %v", ok, err)
	}
	s.Close()
	if _, err := os.Stat(s.Peer().Name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("socket after Close: %v", err)
	}
}

func TestKilledProcessLeavesNoRubbish(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	leave := func(age time.Duration) string {
		p, err := newPeer("web", NewInstance(), dir)
		if err != nil {
			t.Fatal(err)
		}
		ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: p.Name, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		ln.SetUnlinkOnClose(false)
		ln.Close()
		at := time.Now().Add(-age)
		if err := os.Chtimes(p.Name, at, at); err != nil {
			t.Fatal(err)
		}
		return p.Name
	}
	old, young := leave(2*deadAfter), leave(0)
	if ok, err := (Finder{Dir: dir}).Alive(testContext(t), old); ok || err != nil {
		t.Errorf("Alive of a dead socket = %v, %v", ok, err)
	}
	startServer(t, &fakeAgent{}, Options{Dir: dir}, nil)
	if _, err := os.Lstat(old); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("old dead socket: %v", err)
	}
	if _, err := os.Lstat(young); err != nil {
		t.Errorf("socket that may be about to listen: %v", err)
	}
}

func TestUnsafeDirectoriesAreRefused(t *testing.T) {
	base := t.TempDir()
	open := filepath.Join(base, "open")
	if err := errors.Join(os.Mkdir(open, 0o755), os.Chmod(open, 0o755)); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(base, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	private, link := filepath.Join(base, "private"), filepath.Join(base, "link")
	if err := errors.Join(os.Mkdir(private, 0o700), os.Symlink(private, link)); err != nil {
		t.Fatal(err)
	}
	cases := map[string]string{open: "chmod 700", file: "not a directory", link: "not a directory"}
	if asRoot() {
		foreign := filepath.Join(base, "foreign")
		if err := errors.Join(os.Mkdir(foreign, 0o700), os.Chown(foreign, nobody, nobody)); err != nil {
			t.Fatal(err)
		}
		cases[foreign] = "belongs to uid 65534"
	}
	for dir, want := range cases {
		if s, err := Listen("web", Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Listen in %s = %v, %v, want %q", dir, s, err, want)
		}
		if _, err := (Finder{Dir: dir}).Services(testContext(t)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Services in %s: %v, want %q", dir, err, want)
		}
	}
}
