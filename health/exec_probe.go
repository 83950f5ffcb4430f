package health

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
)

// ExecProbe runs a command without a shell. Exit status 0 passes.
type ExecProbe struct {
	// Command is the program, found through PATH, and its arguments.
	Command []string

	// Env is added to this process's environment, as KEY=VALUE; a later value of a key wins.
	Env []string

	// Dir is where the command runs; empty means this process's working directory.
	Dir string
}

// Probe runs the command. When ctx ends the command is killed, on Unix with all of its process group. What it leaves running when it
// ends by itself is not. The error holds the last line of its output.
func (p ExecProbe) Probe(ctx context.Context) error {
	if err := p.Validate(); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, p.Command[0], p.Command[1:]...)
	cmd.Dir = p.Dir
	cmd.Env = append(os.Environ(), p.Env...)
	output := new(tail)
	cmd.Stdout, cmd.Stderr = output, output
	cmd.WaitDelay = grace / 2 // below the grace, so that what it printed can still be told
	killGroup(cmd)
	err := cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // it said 0; only its output is held open, by something it left running
	}
	if ctx.Err() != nil {
		text := "killed"
		if line := lastLine(string(output.kept)); line != "" {
			text += ", its last output was: " + line
		}
		return &textError{text, ctx.Err()}
	}
	if err != nil {
		return &textError{with(err.Error(), lastLine(string(output.kept))), err}
	}
	return nil
}

// String returns the command as [ParseProbe] reads it.
func (p ExecProbe) String() string {
	words := make([]string, len(p.Command))
	for i, word := range p.Command {
		words[i] = quote(word)
	}
	return "exec:" + strings.Join(words, " ")
}

// Validate reports an empty command or one that no system can run.
func (p ExecProbe) Validate() error {
	if len(p.Command) == 0 || p.Command[0] == "" {
		return errors.New("no command")
	}
	if strings.Contains(strings.Join(p.Command, ""), "\x00") {
		return errors.New("a zero byte in the command")
	}
	return nil
}

// tail keeps the last maxBody bytes written to it.
type tail struct{ kept []byte }

func (t *tail) Write(b []byte) (int, error) {
	t.kept = append(t.kept, b[max(len(b)-maxBody, 0):]...)
	if drop := len(t.kept) - maxBody; drop > 0 {
		t.kept = append(t.kept[:0], t.kept[drop:]...)
	}
	return len(b), nil
}
