package proctest

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// Build builds the program in the test's directory and returns the path of the
// executable. Each of vars sets a variable of the program, as in
// "main.version=v2". It is built with the race detector if the test is.
func Build(t testing.TB, vars ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "server")
	args := []string{"build", "-o", path}
	if raceEnabled {
		args = append(args, "-race")
	}
	flags := "-s -w"
	for _, v := range vars {
		flags += " -X " + v
	}
	cmd := exec.Command("go", append(args, "-ldflags", flags, ".")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	return path
}
