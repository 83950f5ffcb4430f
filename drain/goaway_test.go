package drain

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
)

func TestNoticeComesBetweenFrames(t *testing.T) {
	settings := "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	headers := "\x00\x00\x02\x01\x00\x00\x00\x00\x01ab" // no END_HEADERS
	continued := "\x00\x00\x03\x09\x04\x00\x00\x00\x01cde"
	data := "\x00\x00\x05\x00\x01\x00\x00\x00\x01hello"
	stream := settings + headers + continued + data
	// Warned after n bytes, the notice comes at the first place that is allowed.
	gaps := []int{len(settings), len(settings + headers + continued), len(stream)}
	for step := 1; step <= len(stream); step++ {
		for warnAt := 0; warnAt <= len(stream); warnAt += step {
			var got bytes.Buffer
			nc := &noticeConn{Conn: writerConn{w: &got}}
			for at := 0; at < len(stream); at += step {
				if at == warnAt {
					nc.warn()
				}
				end := min(at+step, len(stream))
				if n, err := nc.Write([]byte(stream[at:end])); n != end-at || err != nil {
					t.Fatalf("Write: %d, %v", n, err)
				}
			}
			want := stream
			for _, gap := range gaps {
				if gap >= warnAt && warnAt < len(stream) {
					want = stream[:gap] + string(notice) + stream[gap:]
					break
				}
			}
			// A gap at the end of all writes waits for the next one.
			if got.String() != want && !(strings.HasSuffix(want, string(notice)) && got.String() == stream) {
				t.Fatalf("step %d, warned at %d:\n got %q\nwant %q", step, warnAt, got.String(), want)
			}
		}
	}
}

type writerConn struct {
	net.Conn
	w io.Writer
}

func (c writerConn) Write(p []byte) (int, error) { return c.w.Write(p) }
