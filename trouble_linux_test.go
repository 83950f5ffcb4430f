package handover_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gohandover/handover/internal/load"
)

// nobody is a user that is not this one, for tests that are run by root.
const nobody = 65534

// otherUser makes a process run as another user, and tells whether it can.
func otherUser() (*syscall.SysProcAttr, bool) {
	if os.Geteuid() != 0 {
		return nil, false
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}, true
}

func TestHeldPortIsRefused(t *testing.T) {
	other, isRoot := otherUser()
	for _, test := range []struct {
		name         string
		holder       spec
		attr         *syscall.SysProcAttr
		here, theirs string // address, with its network where it isn't tcp; %s is the port
		says         []string
	}{
		{"by a socket that doesn't share", spec{Role: "plain"}, nil, "127.0.0.1:%s", "127.0.0.1:0",
			[]string{"PID", "without SO_REUSEPORT", "stop it this once"}},
		{"by an MPTCP socket, as Go makes them", spec{Role: "plain", Mode: "mptcp"}, nil, "127.0.0.1:%s", "127.0.0.1:0",
			[]string{"PID", "without SO_REUSEPORT"}},
		{"by a socket on all addresses that doesn't share", spec{Role: "plain"}, nil, "127.0.0.1:%s", ":0",
			[]string{"PID", "without SO_REUSEPORT"}},
		{"by another user", spec{Role: "foreign"}, other, "127.0.0.1:%s", "127.0.0.1:0",
			[]string{"uid 65534", "this process is uid 0: run both versions as the same user"}},
		{"on all IPv4 addresses", spec{Role: "foreign"}, nil, "127.0.0.1:%s", "0.0.0.0:0",
			[]string{"PID", "overlaps", "listen on the same address as the running version"}},
		{"on one IPv4 address", spec{Role: "foreign"}, nil, "0.0.0.0:%s", "127.0.0.1:0", []string{"PID", "overlaps"}},
		{"on all addresses of both families", spec{Role: "foreign"}, nil, "tcp4 0.0.0.0:%s", ":0", []string{"PID", "overlaps"}},
		{"on one IPv6 address", spec{Role: "foreign"}, nil, ":%s", "[::1]:0", []string{"PID", "overlaps"}},
		{"by a version on another form of address", spec{Role: "http"}, nil, ":%s", "127.0.0.1:0", []string{"PID", "overlaps"}},
	} {
		if test.attr == nil && test.name == "by another user" && !isRoot {
			continue // only root can be somebody else
		}
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, spec{})
			test.holder.Service, test.holder.Addresses = f.base.Service, []string{test.theirs}
			holder := startServer(t, test.holder, test.attr)
			_, port, _ := net.SplitHostPort(holder.awaitWord("ready", "addr"))
			f.base.Addresses = []string{fmt.Sprintf(test.here, port)}
			if network, address, ok := strings.Cut(f.base.Addresses[0], " "); ok {
				f.base.Role, f.base.Network, f.base.Addresses[0] = "tcp", network, address
			}
			for i, s := range test.says {
				test.says[i] = strings.ReplaceAll(s, "PID", fmt.Sprintf("pid %d", holder.pid()))
			}
			p := f.start()
			p.wantExit(exitError, test.says...)
			if p.has("starting") {
				t.Error("the version warmed up")
			}
		})
	}
}

func TestAnotherServiceOnThePortIsRefused(t *testing.T) {
	t.Parallel()
	f := newFleet(t, spec{})
	f.serve()
	f.start(func(s *spec) { s.Service += "-other" }).
		wantExit(exitError, fmt.Sprintf("belongs to another service, %q (generation 1", f.base.Service), "HANDOVER_NAME")
	wantVersion(t, f.address(), "v1", 5)
}

// A new version that leaves out an address would strand its clients.
func TestAddressLeftOutIsRefused(t *testing.T) {
	t.Parallel()
	f := newFleet(t, spec{Addresses: []string{"127.0.0.1:0", "[::1]:0"}})
	old := f.serve()
	f.start(func(s *spec) { s.Addresses = s.Addresses[:1] }).wantExit(exitError, "also listens on "+f.base.Addresses[1])
	more := f.serve(func(s *spec) { s.Addresses = append([]string{"127.0.0.2:0"}, s.Addresses...) })
	old.wantExit(0)
	wantVersion(t, f.base.Addresses[1], more.Version, 5)
}

// Names on the control socket that another user has taken are no way in.
func TestSquattedNames(t *testing.T) {
	other, isRoot := otherUser()
	if !isRoot {
		return // only root can be somebody else
	}
	squatter := func(t *testing.T, name string) {
		startServer(t, spec{Role: "squat", Mode: name}, other).await("ready")
	}
	t.Run("of an agent, beside a running version", func(t *testing.T) {
		t.Parallel()
		f := newFleet(t, spec{})
		old := f.serve()
		squatter(t, "0/"+f.base.Service+"/0123456789abcdef")
		takeOver(t, f, old, 1)
	})
	t.Run("of an agent, beside a server that has none", func(t *testing.T) {
		t.Parallel()
		f := newFleet(t, spec{})
		f.serve(func(s *spec) { s.Role = "foreign" })
		squatter(t, "0/"+f.base.Service+"/0123456789abcdef")
		f.start().wantExit(exitError, "uid 65534")
		wantVersion(t, f.address(), "v1", 5)
	})
	t.Run("of the lock", func(t *testing.T) {
		t.Parallel()
		f := newFleet(t, spec{})
		f.serve()
		squatter(t, "0/"+f.base.Service+"/lock")
		f.start().wantExit(exitError, "handover failed at lock", "squatted by uid 65534", "give the service another name")
		wantVersion(t, f.address(), "v1", 5)
	})
}

// A server that was built without this module and shares its port is taken over
// too: its queue is emptied, its connections end, then it is told to stop.
func TestForeignServerIsTakenOver(t *testing.T) {
	t.Parallel()
	f := newFleet(t, spec{})
	old := f.serve(func(s *spec) { s.Role = "foreign" })
	l := drive(t, load.Config{Address: f.address(), Patterns: map[load.Pattern]int{load.NewConnection: 2, load.LateFirstByte: 1}})
	awaitAnswers(t, l, "v1")
	sick := f.start(func(s *spec) { s.Check = "db is away" }, startTimeout(500*time.Millisecond))
	sick.wantExit(exitError, "db is away")
	next := f.serve()
	next.wantLogged(fmt.Sprintf("pid %d", old.pid()), "has no control socket")
	old.wantExit(0)
	if !old.has("terminated") {
		t.Error("the foreign server was not told to stop")
	}
	takeOver(t, f, next, 1, l)
	if n := wantNoneLost(t, l).Total.Versions[sick.Version]; n > 0 {
		t.Errorf("%d requests were answered by a version that was never healthy", n)
	}
}

// What is queued for a foreign server is waited for, before it is told to stop.
func TestForeignServersQueueIsEmptied(t *testing.T) {
	t.Parallel()
	f := newFleet(t, spec{})
	old := f.serve(func(s *spec) { s.Role = "foreign" })
	next := f.start(at("checked", "wait"))
	next.await("checked")
	old.stop()
	waiting := queue(t, f.address(), 30)
	for _, c := range waiting {
		io.WriteString(c, "GET /version HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
	}
	next.tell("go")
	next.await("cutover")
	time.Sleep(100 * time.Millisecond) // in which a signal would be sent, and wait for the process to go on
	old.signal(syscall.SIGCONT)
	for i, c := range waiting {
		if body, err := io.ReadAll(c); err != nil || !strings.HasSuffix(string(body), "v1") {
			t.Fatalf("client %d got %q (%v)", i, body, err)
		}
	}
	old.wantExit(0)
	next.await("ready")
}

// The same with a server in another language. The CI has python3.
func TestPythonServerIsTakenOver(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Log("there is no python3: nothing tested")
		return
	}
	f := newFleet(t, spec{})
	f.count++
	old := startCommand(t, spec{Version: "v1"}, exec.Command(python, "-u", "-c", pythonServer))
	f.ready(old)
	k := knock(f.address(), 8)
	defer k.stop()
	eventually(t, "v1 answers", func() bool { return k.answers("v1") > 50 })
	f.serve()
	old.wantExit(0)
	if !old.has("terminated") {
		t.Error("the foreign server was not told to stop")
	}
	eventually(t, "v2 answers", func() bool { return k.answers("v2") > 50 })
	if lost := k.stop(); len(lost) > 0 {
		t.Errorf("%d requests were lost: %v", len(lost), lost[0])
	}
}

const pythonServer = `
import http.server, signal, socket, sys, threading

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"v1")
    def log_message(self, *args):
        pass

class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = False
    def server_bind(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        super().server_bind()

server = Server(("127.0.0.1", 0), Handler)
def stop(*_):
    print("terminated")
    threading.Thread(target=server.shutdown).start()
signal.signal(signal.SIGTERM, stop)
print("ready addr=127.0.0.1:%d" % server.server_port)
server.serve_forever()
server.server_close()
`

// knocking is clients that ask for the version, each time on a new connection.
type knocking struct {
	done atomic.Bool
	all  sync.WaitGroup

	mu    sync.Mutex
	by    map[string]int
	fails []error
}

func knock(address string, clients int) *knocking {
	k := &knocking{by: map[string]int{}}
	for range clients {
		k.all.Go(func() {
			for !k.done.Load() {
				version, err := get(address, "/version")
				k.mu.Lock()
				if err != nil {
					k.fails = append(k.fails, err)
				}
				k.by[version]++
				k.mu.Unlock()
				time.Sleep(2 * time.Millisecond)
			}
		})
	}
	return k
}

func (k *knocking) answers(version string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.by[version]
}

// stop ends the clients and returns what failed.
func (k *knocking) stop() []error {
	k.done.Store(true)
	k.all.Wait()
	return k.fails
}
