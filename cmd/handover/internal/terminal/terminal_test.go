package terminal

import (
	"os"
	"strings"
	"testing"
)

func TestIsNotForFilesAndBuffers(t *testing.T) {
	t.Setenv("TERM", "xterm")
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if Is(null) || Is(new(strings.Builder)) {
		t.Error("taken for a terminal")
	}
}

func TestStyle(t *testing.T) {
	if got := (Style{}).Bad("x"); got != "x" {
		t.Errorf("got %q", got)
	}
	if got, want := (Style{on: true}).Bad("x"), "\x1b[1;31mx\x1b[0m"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	s := Style{on: true}
	if s.Tint(1, "x") == s.Tint(2, "x") || s.Tint(1, "x") != s.Tint(7, "x") {
		t.Error("there are not six tints in turn")
	}
}

// TestScreen follows what is written on a terminal that knows only what is used.
func TestScreen(t *testing.T) {
	var b strings.Builder
	s := NewScreen(&b)
	s.Draw([]string{"one", "two"})
	s.Print("stays")
	s.Draw([]string{"three"})
	s.Print("stays too")
	s.Draw(nil)
	if got, want := screenText(b.String()), "stays\nstays too\n"; got != want {
		t.Errorf("the screen shows\n%q\nwant\n%q", got, want)
	}
	if wrap := strings.LastIndex(b.String(), "\x1b[?7"); b.String()[wrap:] != "\x1b[?7h" {
		t.Error("the terminal is left without wrapping lines")
	}
}

// screenText returns the lines that are left after the sequences for going up,
// clearing and wrapping have been obeyed.
func screenText(written string) string {
	var lines []string
	for chunk := range strings.SplitSeq(written, "\x1b[") {
		switch {
		case strings.HasPrefix(chunk, "?7"):
			chunk = chunk[3:]
		case strings.HasPrefix(chunk, "J"):
			chunk = chunk[1:]
		case len(chunk) > 1 && chunk[1] == 'A':
			lines = lines[:len(lines)-int(chunk[0]-'0')]
			chunk = strings.TrimPrefix(chunk[2:], "\r")
		}
		for line := range strings.Lines(chunk) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}
