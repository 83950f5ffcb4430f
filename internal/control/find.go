package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxFound is how many sockets are looked at, for those that name this user
// and for the others each. Anyone can open sockets under any name.
const maxFound = 4096

// Finder finds agents. The zero value looks among the abstract sockets of the
// network namespace.
type Finder struct {
	// Dir is a runtime directory, as in [Options], to look into as well.
	Dir string
}

// Peers returns the control sockets of a service, those whose name has this
// user's uid first. In another user namespace one user has another uid, so the
// others may be his too: only connecting shows who is who, see [QueryAll].
// The sockets may have gone when it returns. Of too many sockets it returns
// the first, with [ErrTooMany].
func (f Finder) Peers(ctx context.Context, service string) ([]Peer, error) {
	if err := ValidateName(service); err != nil {
		return nil, err
	}
	return f.find(ctx, func(p Peer) bool { return p.Service == service })
}

// Service is a name and user under which control sockets were found.
type Service struct {
	Name  string
	UID   int // as the names say
	Peers []Peer
}

// Services returns all services found, those of this user first, then by uid
// and name. Of too many sockets it uses the first, with [ErrTooMany].
func (f Finder) Services(ctx context.Context) ([]Service, error) {
	peers, err := f.find(ctx, func(Peer) bool { return true })
	var all []Service
	for _, p := range peers {
		if n := len(all); n == 0 || all[n-1].Name != p.Service || all[n-1].UID != p.UID {
			all = append(all, Service{Name: p.Service, UID: p.UID})
		}
		last := &all[len(all)-1]
		last.Peers = append(last.Peers, p)
	}
	return all, err
}

// Alive reports whether the process with that instance name, or with that
// socket name ("@..." or a path), still has its socket, and it belongs to this
// user or root. A stopped process counts as alive. An error means that it
// cannot be told.
func (f Finder) Alive(ctx context.Context, instance string) (bool, error) {
	if strings.HasPrefix(instance, "@") || strings.HasPrefix(instance, "/") {
		return alive(ctx, instance, self())
	}
	if !validInstance(instance) {
		return false, fmt.Errorf("%.64q is neither an instance (%d hexadecimal digits) nor the name of a socket", instance, instanceLen)
	}
	peers, err := f.find(ctx, func(p Peer) bool { return p.Instance == instance })
	for _, p := range peers {
		ok, aliveErr := alive(ctx, p.Name, self())
		if ok {
			return true, nil
		}
		err = cmp.Or(err, aliveErr)
	}
	return false, err
}

// Alive reports whether the peer's socket is still there, as [Finder.Alive].
func (p Peer) Alive(ctx context.Context) (bool, error) { return alive(ctx, p.Name, self()) }

func alive(ctx context.Context, name string, id identity) (bool, error) {
	conn, owner, err := connect(ctx, name)
	switch {
	case errors.Is(err, ErrGone):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("is %s alive: %w", name, err)
	}
	conn.Close()
	return id.trusts(owner.uid), nil
}

// find returns the sockets that match, sorted and each once.
func (f Finder) find(ctx context.Context, match func(Peer) bool) ([]Peer, error) {
	found := newFound(match)
	if err := scanAbstract(ctx, found.addName); err != nil {
		return nil, fmt.Errorf("look for control sockets: %w", err)
	}
	if f.Dir != "" {
		if err := scanDir(f.Dir, found.add); err != nil {
			return nil, fmt.Errorf("look for control sockets: %w", err)
		}
	}
	return found.sorted()
}

// found collects peers, up to a number that keeps a flood of foreign names
// from crowding out one's own.
type found struct {
	match  func(Peer) bool
	self   int
	seen   map[string]bool
	own    []Peer
	others []Peer
	more   bool
}

func newFound(match func(Peer) bool) *found {
	return &found{match: match, self: os.Geteuid(), seen: make(map[string]bool)}
}

func (f *found) addName(name string) {
	if p, ok := parseAbstract(name); ok {
		f.add(p)
	}
}

func (f *found) add(p Peer) {
	if f.seen[p.Name] || !f.match(p) {
		return
	}
	list := &f.others
	if p.UID == f.self {
		list = &f.own
	}
	if len(*list) == maxFound {
		f.more = true
		return
	}
	f.seen[p.Name] = true
	*list = append(*list, p)
}

func (f *found) sorted() ([]Peer, error) {
	for _, list := range [][]Peer{f.own, f.others} {
		slices.SortFunc(list, func(a, b Peer) int {
			return cmp.Or(cmp.Compare(a.UID, b.UID), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Name, b.Name))
		})
	}
	peers := slices.Concat(f.own, f.others)
	if f.more {
		return peers, fmt.Errorf("%w: only %d are looked at; see who opens them in /proc/net/unix", ErrTooMany, len(peers))
	}
	return peers, nil
}

// scanDir adds the sockets of a runtime directory. None is no error.
func scanDir(dir string, add func(Peer)) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	switch err := checkDir(dir); {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if p, ok := parsePath(dir, e.Name(), os.Geteuid()); ok && e.Type() == os.ModeSocket {
			add(p)
		}
	}
	return nil
}

// Peers is [Finder.Peers] of a zero Finder.
func Peers(ctx context.Context, service string) ([]Peer, error) {
	return Finder{}.Peers(ctx, service)
}

// Services is [Finder.Services] of a zero Finder.
func Services(ctx context.Context) ([]Service, error) { return Finder{}.Services(ctx) }

// Alive is [Finder.Alive] of a zero Finder.
func Alive(ctx context.Context, instance string) (bool, error) { return Finder{}.Alive(ctx, instance) }
