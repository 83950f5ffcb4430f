package control

import (
	"log/slog"
	"net"
	"sync"
	"time"
)

// logEvery is how often, at most, refused connections are logged.
const logEvery = 10 * time.Second

// gate is a listener that accepts from trusted users only, and only so many.
// Others are closed before a byte is read. There is no pause after a refusal:
// it would keep the trusted waiting in the queue behind a flood.
type gate struct {
	*net.UnixListener
	id    func() identity
	conns *conns
	log   *slog.Logger

	mu      sync.Mutex
	refused int
	quiet   time.Time // no log line before
}

// Accept waits for the next connection that is let in.
func (g *gate) Accept() (net.Conn, error) {
	for {
		conn, err := g.AcceptUnix()
		if err != nil {
			return nil, err
		}
		c, err := peerCred(conn)
		switch {
		case err != nil:
			g.refuse(conn, "no credentials", c)
		case !g.id().trusts(c.uid):
			g.refuse(conn, "another user", c)
		case !g.conns.admit(conn, c.pid):
			g.refuse(conn, "too many connections", c)
		default:
			return conn, nil
		}
	}
}

func (g *gate) refuse(conn net.Conn, why string, c cred) {
	conn.Close()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refused++
	if now := time.Now(); now.After(g.quiet) {
		g.quiet = now.Add(logEvery)
		g.log.Warn("control connection refused", "reason", why, "uid", c.uid, "pid", c.pid, "refused", g.refused)
	}
}
