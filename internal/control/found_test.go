package control

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestFloodOfNamesHidesNobodysOwn(t *testing.T) {
	f := newFound(func(p Peer) bool { return p.Service == "web" })
	f.self = 1000
	for i := range maxFound + 10 {
		f.addName(fmt.Sprintf("@handover/1001/web/%016x", i))
	}
	for range 2 {
		f.addName("@handover/1000/web/0123456789abcdef")
		f.addName("@handover/1000/other/0123456789abcdef")
	}
	peers, err := f.sorted()
	if len(peers) != maxFound+1 || peers[0].UID != 1000 || peers[1].UID != 1001 {
		t.Errorf("%d peers, first %v", len(peers), peers[0])
	}
	if !errors.Is(err, ErrTooMany) {
		t.Errorf("error %v, want ErrTooMany", err)
	}
}

const table = `Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 11 @handover/0/web/0123456789abcdef
0000000000000000: 00000003 00000000 00000000 0001 03 12 @handover/0/web/0123456789abcdef
0000000000000000: 00000002 00000000 00000000 0002 01 13 /run/systemd/notify
0000000000000000: 00000002 00000000 00010000 0005 01 14 /run/udev/control
0000000000000000: 00000003 00000000 00000000 0001 03 15
0000000000000000: 00000002 00000000 00010000 0001 01 16 /run/a name with spaces
0000000000000000: 00000002 00000000 00010000 0001 01 17 
`

func TestParseUnix(t *testing.T) {
	long := strings.Repeat("x", 10000) + "\n"
	var got []string
	err := parseUnix(strings.NewReader(long+table+long+"0: 0 0 00010000 0001 01 18 @last"), func(name string) { got = append(got, name) })
	want := []string{"@handover/0/web/0123456789abcdef", "/run/a name with spaces", "@last"}
	if err != nil || strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("names %q, %v, want %q", got, err, want)
	}
}

type brokenReader struct{ err error }

func (r brokenReader) Read([]byte) (int, error) { return 0, r.err }

func TestParseUnixReportsReadErrors(t *testing.T) {
	want := errors.New("broken")
	if err := parseUnix(brokenReader{want}, func(string) {}); !errors.Is(err, want) {
		t.Errorf("error %v", err)
	}
}

func FuzzParseUnix(f *testing.F) {
	f.Add(table)
	f.Add("0: 0 0 00010000 0001 01 18 @\n@handover/0/web/0123456789abcdef")
	f.Add(strings.Repeat(" ", 5000))
	f.Fuzz(func(t *testing.T, text string) {
		found := newFound(func(Peer) bool { return true })
		if err := parseUnix(strings.NewReader(text), found.addName); err != nil {
			t.Errorf("error %v", err)
		}
		peers, _ := found.sorted()
		for _, p := range peers {
			if !strings.Contains(text, p.Name) {
				t.Errorf("made up %v", p)
			}
		}
	})
}
