package control

import (
	"strings"
	"testing"
)

func TestServiceNames(t *testing.T) {
	for _, good := range []string{"web", "a", "[::]:8080", "127.0.0.1:80", "A-Z_a.z", strings.Repeat("x", 64)} {
		if err := ValidateName(good); err != nil {
			t.Errorf("ValidateName(%q): %v", good, err)
		}
	}
	for _, c := range []struct{ name, says string }{
		{"", "empty"},
		{strings.Repeat("x", 65), "65 bytes"},
		{"a/b", `'/'`},
		{"a b", `' '`},
		{"a\x00", `'\x00'`},
		{"a\n", `'\n'`},
		{"café", `'é'`},
		{"a\xff", "only"},
		{"@a", `'@'`},
	} {
		if err := ValidateName(c.name); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("ValidateName(%q) = %v, want an error with %q", c.name, err, c.says)
		}
	}
}

func TestInstancesDiffer(t *testing.T) {
	a, b := NewInstance(), NewInstance()
	if a == b || !validInstance(a) || !validInstance(b) {
		t.Errorf("instances %q and %q", a, b)
	}
}

func TestLongestNameFits(t *testing.T) {
	name := prefix + "4294967295/" + strings.Repeat("x", maxService) + "/" + NewInstance()
	if _, ok := parseAbstract(name); !ok || len(name) > maxSocketName {
		t.Errorf("a name of %d bytes is not accepted", len(name))
	}
}

func TestPeerNames(t *testing.T) {
	p, err := newPeer("[::]:80", "0123456789abcdef", "")
	if err != nil {
		t.Fatal(err)
	}
	if back, ok := parseAbstract(p.Name); p.UID >= 0 && (!ok || back != p) {
		t.Errorf("parseAbstract(%q) = %+v, %v, want %+v", p.Name, back, ok, p)
	}
	if _, err := newPeer("web", "0123", ""); err == nil {
		t.Error("short instance accepted")
	}
	if _, err := newPeer("web", "0123456789ABCDEF", ""); err == nil {
		t.Error("upper-case instance accepted")
	}
	if _, err := newPeer("web", NewInstance(), "/"+strings.Repeat("d", 100)); err == nil || !strings.Contains(err.Error(), "shorter") {
		t.Errorf("too long a path: %v", err)
	}
}

func TestForeignNamesAreNoPeers(t *testing.T) {
	for _, name := range []string{
		"", "@", "@handover/", "@handover/0/web", "@handover/0/web/lock", "handover/0/web/0123456789abcdef",
		"@handover/00/web/0123456789abcdef", "@handover/+1/web/0123456789abcdef", "@handover/-1/web/0123456789abcdef",
		"@handover/4294967296/web/0123456789abcdef", "@handover//web/0123456789abcdef", "@handover/0//0123456789abcdef",
		"@handover/0/web/0123456789abcdef@", "@handover/0/web/x/0123456789abcdef", "@handover/0/web/0123456789abcdeg",
	} {
		if p, ok := parseAbstract(name); ok {
			t.Errorf("parseAbstract(%q) = %+v", name, p)
		}
	}
	for _, file := range []string{"", ".sock", "web.sock", ".0123456789abcdef.sock", "web.0123456789abcdef", "web-0123456789abcdef.sock"} {
		if p, ok := parsePath("/run/x", file, 0); ok {
			t.Errorf("parsePath(%q) = %+v", file, p)
		}
	}
}

func FuzzParseAbstract(f *testing.F) {
	f.Add("@handover/0/web/0123456789abcdef")
	f.Add("@handover/4294967295/[::]:80/0123456789abcdef")
	f.Add("@handover/0/a/b/0123456789abcdef")
	f.Fuzz(func(t *testing.T, name string) {
		p, ok := parseAbstract(name)
		if !ok {
			return
		}
		if p.Name != name || len(name) > maxSocketName || ValidateName(p.Service) != nil || !validInstance(p.Instance) || p.UID < 0 {
			t.Errorf("parseAbstract(%q) = %+v", name, p)
		}
	})
}
