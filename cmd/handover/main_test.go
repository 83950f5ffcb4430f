package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/gohandover/handover/cmd/handover/internal/demo"
	"github.com/gohandover/handover/internal/control"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"handover": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(env *testscript.Env) error {
			env.Setenv("SERVICE", "test-"+control.NewInstance())
			// Each process would sleep for a second at its end under the race detector.
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":     exits,
			"hold":      holdPort,
			"freeport":  freePort,
			"serve":     serve,
			"waitready": waitReady,
			"judge":     judge,
		},
	})
}

// exits runs a command and compares its exit code: exits CODE COMMAND [ARG...].
func exits(ts *testscript.TestScript, _ bool, args []string) {
	code := 0
	err := ts.Exec(args[1], args[2:]...)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if want := args[0]; strconv.Itoa(code) != want {
		ts.Fatalf("exit code %d, want %s", code, want)
	}
}

// holdPort listens without SO_REUSEPORT until the script ends: hold VARIABLE.
func holdPort(ts *testscript.TestScript, _ bool, args []string) {
	lc := net.ListenConfig{}
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { l.Close() })
	ts.Setenv(args[0], l.Addr().String())
}

// freePort names an address on which nobody listens: freeport VARIABLE.
func freePort(ts *testscript.TestScript, _ bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Setenv(args[0], l.Addr().String())
	ts.Check(l.Close())
}

// serve runs a server of the script's service until the script ends: serve
// ADDRESS VERSION. It ends with its standard input.
func serve(ts *testscript.TestScript, _ bool, args []string) {
	exe, err := os.Executable()
	ts.Check(err)
	cfg := demo.ServerConfig{Way: demo.Handover, Service: ts.Getenv("SERVICE"), Address: args[0], Version: args[1]}
	cmd := exec.Command(exe, append([]string{demoServer}, cfg.Args()...)...)
	cmd.Args[0] = "handover" // TestMain goes by it
	stdin, err := cmd.StdinPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	ts.Defer(func() {
		stdin.Close()
		_ = cmd.Wait() // with the code that this end has
	})
}

// waitReady waits until a server answers: waitready ADDRESS.
func waitReady(ts *testscript.TestScript, _ bool, args []string) {
	eventually(ts.Fatalf, func() bool {
		res, err := http.Get("http://" + args[0] + "/readyz")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		_, err = io.Copy(io.Discard, res.Body)
		return err == nil && res.StatusCode == http.StatusOK
	})
}

// eventually waits until a condition holds.
func eventually(fatalf func(string, ...any), holds func() bool) {
	const patience = 20 * time.Second
	for end := time.Now().Add(patience); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			fatalf("not so after %v", patience)
		}
	}
}
