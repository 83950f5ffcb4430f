package drain

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"time"
)

// HTTP/2, RFC 9113.
const (
	clientPreface  = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	prefaceTimeout = 10 * time.Second

	frameHeaderLen    = 9
	frameHeaders      = 0x1
	framePushPromise  = 0x5
	frameContinuation = 0x9
	flagEndHeaders    = 0x4
)

// notice is a GOAWAY frame that refuses nothing: its last stream is the highest
// there can be. A client that has read it opens no more streams on the connection.
var notice = []byte{0, 0, 8, 0x7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0}

// noticeConn is an HTTP/2 connection into which a notice can be put.
//
// net/http's only GOAWAY names the last stream it has seen, and drops those that
// the client has sent and it has not read. RFC 9113, section 6.8, has a
// notice precede it; net/http cannot send one, so noticeConn finds the place
// between two frames and does.
type noticeConn struct {
	net.Conn

	mu    sync.Mutex // held while writing
	pos   framePos
	due   bool // the notice waits for the end of a frame
	asked bool
}

func (c *noticeConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	head := 0
	if c.due {
		if n, ok := c.pos.nextGap(p); ok {
			var err error
			if head, err = c.write(p[:n]); err != nil {
				return head, err
			}
			if err := c.sendNotice(); err != nil {
				return head, err
			}
		}
	}
	n, err := c.write(p[head:])
	return head + n, err
}

func (c *noticeConn) write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := c.Conn.Write(p)
	c.pos.advance(p[:n])
	return n, err
}

func (c *noticeConn) sendNotice() error {
	c.due = false
	_, err := c.Conn.Write(notice)
	return err
}

// warn sends the notice now, or after the frame under way. It can block as long
// as Write can; the second call does nothing.
func (c *noticeConn) warn() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asked {
		return
	}
	c.asked = true
	if !c.pos.gap() {
		c.due = true
		return
	}
	if err := c.sendNotice(); err != nil {
		c.Conn.Close() // part of the notice may be out
	}
}

// noticeTLS keeps the methods of a TLS connection that HTTP/2 looks for.
type noticeTLS struct {
	*noticeConn
	tls *tls.Conn
}

func (c noticeTLS) ConnectionState() tls.ConnectionState { return c.tls.ConnectionState() }

// readPreface reads what an HTTP/2 client sends first, and reports whether it was that.
func readPreface(nc net.Conn) bool {
	nc.SetReadDeadline(time.Now().Add(prefaceTimeout))
	buf := make([]byte, len(clientPreface))
	_, err := io.ReadFull(nc, buf)
	nc.SetReadDeadline(time.Time{})
	return err == nil && string(buf) == clientPreface
}

// framePos is a position in a stream of HTTP/2 frames.
type framePos struct {
	header  [frameHeaderLen]byte // of the current frame, once it is complete
	have    int                  // bytes of header read
	payload int                  // bytes left
	started bool                 // a frame has ended
}

// gap reports whether another frame may come here: after the first one, which
// must be SETTINGS, and not within a block of header fields.
func (f *framePos) gap() bool {
	if f.have > 0 || f.payload > 0 || !f.started {
		return false
	}
	kind, flags := f.header[3], f.header[4]
	block := kind == frameHeaders || kind == framePushPromise || kind == frameContinuation
	return !block || flags&flagEndHeaders != 0
}

// step moves over the first bytes of p, to the end of the header or the payload
// that they are part of if p has it, and returns their number.
func (f *framePos) step(p []byte) int {
	if f.payload > 0 {
		n := min(f.payload, len(p))
		f.payload -= n
		f.started = f.started || f.payload == 0
		return n
	}
	n := copy(f.header[f.have:], p)
	f.have += n
	if f.have == frameHeaderLen {
		f.have = 0
		f.payload = int(f.header[0])<<16 | int(f.header[1])<<8 | int(f.header[2])
		f.started = f.started || f.payload == 0
	}
	return n
}

func (f *framePos) advance(p []byte) {
	for len(p) > 0 {
		p = p[f.step(p):]
	}
}

// nextGap returns how many bytes of p come before the next gap, if there is one
// in p or at its end.
func (f *framePos) nextGap(p []byte) (int, bool) {
	pos, n := *f, 0
	for !pos.gap() {
		if n == len(p) {
			return 0, false
		}
		n += pos.step(p[n:])
	}
	return n, true
}
