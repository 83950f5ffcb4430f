package cutover

import (
	"fmt"
	"time"
)

// A Step is what the coordinator is doing.
type Step string

// The steps of a handover in their order. Bake is optional.
const (
	StepLock    Step = "lock"    // waiting for the service's lock
	StepBind    Step = "bind"    // reserving the addresses
	StepSurvey  Step = "survey"  // finding out who serves them
	StepPrepare Step = "prepare" // the new generation warms up
	StepHold    Step = "hold"    // the running one makes sure that only it gets clients
	StepJoin    Step = "join"    // the new one listens, guarded
	StepGate    Step = "gate"    // its health is checked through the real port
	StepCutover Step = "cutover" // new connections move
	StepBake    Step = "bake"    // the running one waits in case the new one falls
	StepRetire  Step = "retire"  // its queues are emptied, its listeners closed
	StepSettle  Step = "settle"  // the program is made right for the new order
	StepDone    Step = "done"
)

// An Event is told when a step begins, when it has ended, and when something
// happens that an operator should know.
type Event struct {
	Time    time.Time
	Step    Step
	Message string        // empty when the step begins
	Took    time.Duration // of the step, when it has ended
	Warning bool
	Err     error  // why the handover failed in this step
	Result  Result // so far
}

// A StepError says in which step a handover failed, and what became of the
// running generation.
type StepError struct {
	Step      Step
	CutBack   bool // clients were with the new generation for a moment
	Untouched bool // the running generation never noticed
	Err       error
}

// Error names the step and says whether the running generation is as it was.
func (e *StepError) Error() string {
	after := ""
	switch {
	case e.CutBack:
		after = " (cut back to the running version)"
	case e.Untouched:
		after = " (the running version was not touched)"
	}
	return fmt.Sprintf("handover failed at %s%s: %v", e.Step, after, e.Err)
}

// Unwrap returns the reason.
func (e *StepError) Unwrap() error { return e.Err }
