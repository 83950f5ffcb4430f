package drain

import (
	"crypto/tls"
	"io"
	"net/http"
	"testing"
	"time"
)

func TestForeignProtocolIsWaitedFor(t *testing.T) {
	server, client := testTLS(t)
	server.NextProtos = []string{"echo"}
	entered := make(chan struct{})
	srv := &http.Server{TLSConfig: server, TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){
		"echo": func(_ *http.Server, c *tls.Conn, _ http.Handler) {
			close(entered)
			io.Copy(c, c)
		},
	}}
	d := New(Options{IdleGrace: -1})
	if err := d.Server(srv); err != nil {
		t.Fatal(err)
	}
	l := listen(t)
	go srv.ServeTLS(d.Hold(l), "", "")
	config := client.Clone()
	config.NextProtos = []string{"echo"}
	nc, err := tls.Dial("tcp", l.Addr().String(), config)
	if err != nil {
		t.Fatal(err)
	}
	<-entered
	l.Close()
	ended := drainOf(d)
	if got := d.Status().InFlight; got.Active != 1 {
		t.Errorf("in flight: %v", got)
	}
	time.Sleep(3 * sweepInterval) // what the sweeps take for idle is closed by now
	c := newClient(t, nc)
	c.send("still here\n")
	if s, err := c.r.ReadString('\n'); s != "still here\n" {
		t.Errorf("got %q, %v", s, err)
	}
	nc.Close()
	wantClean(t, ended)
}
