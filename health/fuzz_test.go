package health

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func FuzzDecodeFrame(f *testing.F) {
	for _, seed := range []string{"", "\x00\x00\x00\x00\x02\x08\x01", "\x00\x00\x00\x00\x06\x12\x01a\x08\x80\x01", "\x00\x00\x00\x00\x03\x19ab"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		if status, err := decodeFrame(frame); err != nil && status != 0 {
			t.Fatalf("status %d with error %v", status, err)
		}
	})
}

func FuzzShownText(f *testing.F) {
	f.Add("[+]a ok\n[-]b failed: x\r\n\x1b[2J\u202e\xff")
	f.Add(strings.Repeat("ä", 600))
	f.Add("\n\n  \u0085")
	f.Fuzz(func(t *testing.T, s string) {
		for _, shown := range []string{oneLine(s), telling(s), lastLine(s)} {
			unfit := func(r rune) bool { return !unicode.IsPrint(r) }
			if len(shown) > maxLine || !utf8.ValidString(shown) || strings.ContainsFunc(shown, unfit) {
				t.Fatalf("%q is shown as %q", s, shown)
			}
		}
	})
}
