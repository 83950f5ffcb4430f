package load

import "testing"

func TestCloseAfterConnectionCloseIsNoFailure(t *testing.T) {
	t.Parallel()
	server := serveScript(t, func(v visit) {
		if body, ok := v.read(); ok {
			v.answer(body, "Connection: close\r\n")
		}
	})
	result := once(t, server.addr, KeepAliveGet, 3)
	if result.Total.Answered != 3 || server.conns.Load() != 3 {
		t.Fatalf("%d of 3 answered on %d connections, want 3 on 3%s", result.Total.Answered, server.conns.Load(), text(result.Failures))
	}
}

func TestResetAfterConnectionCloseIsNoFailure(t *testing.T) {
	t.Parallel()
	server := serveScript(t, func(v visit) {
		if body, ok := v.read(); ok {
			v.answer(body, "Connection: close\r\n")
			v.reader.ReadByte() // the client has closed, so it has read all
			v.reset()
		}
	})
	if result := once(t, server.addr, KeepAlivePost, 2); result.Total.Answered != 2 {
		t.Fatalf("%d of 2 answered%s", result.Total.Answered, text(result.Failures))
	}
}

func TestKeepAliveConnectionClosedUnannouncedIsAFailure(t *testing.T) {
	t.Parallel()
	server := serveScript(t, func(v visit) {
		if body, ok := v.read(); ok {
			v.answer(body, "")
		}
		if v.number > 1 {
			for body, ok := v.read(); ok; body, ok = v.read() {
				v.answer(body, "")
			}
		}
	})
	result := once(t, server.addr, KeepAlivePost, 4)
	if result.Total.Answered != 3 || result.Total.Failed != 1 || server.requests.Load() != 3 {
		t.Fatalf("answered %d, failed %d, received %d; want 3, 1 and 3: nothing may be sent twice",
			result.Total.Answered, result.Total.Failed, server.requests.Load())
	}
	f := result.Failures[0]
	if f.Kind != Closed && f.Kind != ResetBefore && f.Kind != ResetAfter {
		t.Errorf("kind %q, want closed or reset", f.Kind)
	}
	if f.Served != 1 || f.Version != "scripted" {
		t.Errorf("failed after %d answers, the last from %q; want 1 from %q", f.Served, f.Version, "scripted")
	}
}

func TestKeepAliveConnectionIsUsedAgain(t *testing.T) {
	t.Parallel()
	for _, p := range []Pattern{KeepAliveGet, KeepAlivePost} {
		server := serve(t, serverOptions{})
		once(t, server.addr, p, 50)
		if got := server.conns.Load(); got != 1 {
			t.Errorf("%v: %d connections for 50 requests, want 1", p, got)
		}
	}
}

func TestNewConnectionForEachRequest(t *testing.T) {
	t.Parallel()
	// This server would keep its connections, which must not tempt the client.
	server := serveScript(t, func(v visit) {
		for body, ok := v.read(); ok; body, ok = v.read() {
			v.answer(body, "")
		}
	})
	if result := once(t, server.addr, NewConnection, 20); result.Total.Answered != 20 || server.conns.Load() != 20 {
		t.Errorf("%d of 20 answered on %d connections, want 20 on 20%s", result.Total.Answered, server.conns.Load(), text(result.Failures))
	}
}

func TestAnswerEndedByCloseIsRead(t *testing.T) {
	t.Parallel()
	server := serveScript(t, func(v visit) {
		if body, ok := v.read(); ok {
			v.Write([]byte("HTTP/1.0 200 OK\r\n\r\n" + body))
		}
	})
	if result := once(t, server.addr, KeepAliveGet, 2); result.Total.Answered != 2 {
		t.Fatalf("%d of 2 answered%s", result.Total.Answered, text(result.Failures))
	}
}
