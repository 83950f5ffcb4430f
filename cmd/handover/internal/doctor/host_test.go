package doctor

import (
	"os"
	"path/filepath"
	"testing"
)

// fakeProc makes a directory with the files of /proc that are given.
func fakeProc(t *testing.T, files map[string]string) host {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return host{proc: dir}
}

func TestKernel(t *testing.T) {
	for text, want := range map[string]Level{
		"6.18.44-fc\n":      OK,
		"4.12.0\n":          OK,
		"4.9.337-generic\n": Fail,
		"3.10.0-1160.el7\n": Fail,
		"mystery\n":         Warn,
	} {
		e := exam{host: fakeProc(t, map[string]string{"sys/kernel/osrelease": text})}
		e.kernel()
		if len(e.findings) != 1 || e.findings[0].Level != want {
			t.Errorf("%q: got %+v, want %s", text, e.findings, want)
		}
	}
}

func TestHostSettings(t *testing.T) {
	for _, c := range []struct {
		file, text, about string
		want              Level
	}{
		{"sys/net/core/somaxconn", "4096\n", "accept queue", OK},
		{"sys/net/core/somaxconn", "128\n", "accept queue", Warn},
		{"sys/net/ipv4/tcp_syncookies", "1\n", "tcp_syncookies", OK},
		{"sys/net/ipv4/tcp_syncookies", "0\n", "tcp_syncookies", Warn},
		{"sys/net/ipv4/tcp_migrate_req", "1\n", "tcp_migrate_req", OK},
		{"sys/net/mptcp/enabled", "1\n", "MPTCP", OK},
		{"self/status", "Name:\tx\nSeccomp:\t2\n", "seccomp", OK},
		{"self/uid_map", "         0          0 4294967295\n", "user namespace", OK},
	} {
		e := exam{host: fakeProc(t, map[string]string{c.file: c.text})}
		e.limits()
		e.confinement()
		found := false
		for _, f := range e.findings {
			if f.About == c.about {
				found = true
				if f.Level != c.want || (f.Level != OK && f.Do == "") {
					t.Errorf("%s=%q: got %+v, want %s", c.file, c.text, f, c.want)
				}
			}
		}
		if !found {
			t.Errorf("%s=%q: nothing about %s", c.file, c.text, c.about)
		}
	}
}

func TestMapsAll(t *testing.T) {
	for text, want := range map[string]bool{
		"0 0 4294967295": true,
		"0 100000 65536": false,
		"1000 1000 1":    false,
		"":               false,
	} {
		if mapsAll(text) != want {
			t.Errorf("%q: got %v", text, !want)
		}
	}
}
