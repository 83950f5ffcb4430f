package control

import (
	"errors"
	"math"
	"strings"
	"testing"
)

func TestWhomToTrust(t *testing.T) {
	const overflow = 65534
	for _, c := range []struct {
		name     string
		euid     uint32
		complete bool
		peer     uint32
		want     bool
	}{
		{"same user", 1000, true, 1000, true},
		{"root", 1000, true, 0, true},
		{"another user", 1000, true, 1001, false},
		{"another user, to root", 0, true, 1000, false},
		{"same user in a user namespace", 1000, false, 1000, true},
		{"root of a user namespace", 1000, false, 0, true},
		{"nobody, where all uids are mapped", overflow, true, overflow, true},
		{"nobody, where it may stand for anyone", overflow, false, overflow, false},
		{"unmapped, to root", 0, false, overflow, false},
		{"no uid at all", math.MaxUint32, true, math.MaxUint32, false},
	} {
		id := identity{euid: c.euid, overflow: overflow, complete: c.complete}
		if got := id.trusts(c.peer); got != c.want {
			t.Errorf("%s: trusts = %v, want %v", c.name, got, c.want)
		}
	}
}

func TestOverflowUIDOfZeroIsNotRoot(t *testing.T) {
	id := identity{euid: 1000, overflow: 0}
	if id.trusts(0) {
		t.Error("an unmapped user shown as 0 passes for root")
	}
}

func TestOnlyRootTalksToEveryUser(t *testing.T) {
	root := identity{euid: 0, overflow: 65534, complete: true}
	if err := root.check("@x", 1000, true); err != nil {
		t.Errorf("root: %v", err)
	}
	user := identity{euid: 1000, overflow: 65534, complete: true}
	err := user.check("@x", 1001, true)
	squatted, ok := errors.AsType[*SquattedError](err)
	if !ok || squatted.UID != 1001 || squatted.Self != 1000 || squatted.Unmapped {
		t.Errorf("a user: %v", err)
	}
	for _, want := range []string{"@x", "uid 1001", "uid 1000", "choose another service name"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not say %q", err, want)
		}
	}
}

func TestUIDMaps(t *testing.T) {
	for _, c := range []struct {
		file string
		want bool
	}{
		{"         0          0 4294967295\n", true},
		{"0 0 65536\n65536 65536 4294901759\n", true},
		{"0 100000 65536\n", false},
		{"0 1000 1\n", false},
		{"", false},
		{"garbage\n", false},
	} {
		if got := mapsEveryUID(strings.NewReader(c.file)); got != c.want {
			t.Errorf("mapsEveryUID(%q) = %v", c.file, got)
		}
	}
}
