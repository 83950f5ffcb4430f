package cutover

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gohandover/handover/internal/control"
	"github.com/gohandover/handover/reuse"
)

// Coordinator drives one handover. The zero values of its durations mean the
// defaults named at each.
type Coordinator struct {
	Service  string
	Instance string // of the newcomer's control socket
	New      Newcomer

	LockTimeout    time.Duration // for other handovers to end; 2 minutes
	FlushTimeout   time.Duration // for the queues of the old generation; 10 seconds
	ForeignTimeout time.Duration // for the connections of one that can't be asked to drain; 30 seconds
	Bake           time.Duration // for the new generation's health to fall; 0: none

	// Observe is told about each step, one after the other. It may be nil.
	Observe func(Event)

	env env
}

const (
	defaultLockTimeout    = 2 * time.Minute
	defaultFlushTimeout   = 10 * time.Second
	defaultForeignTimeout = 30 * time.Second

	// holdTimeout bounds the wait for a predecessor to steer its group, or to be
	// parked, which takes milliseconds. One that is stopped never does.
	holdTimeout = 2 * time.Second

	ownerlessLooks = 20
	ownerlessPause = 50 * time.Millisecond

	// backTimeout bounds cutting back and closing listeners, which go on when
	// the handover's own context has ended.
	backTimeout = 15 * time.Second
)

// Result is what a handover did.
type Result struct {
	Generation  int
	Predecessor string // for people; empty if there was none
	CutoverAt   time.Time
	CutoverTook time.Duration // of the kernel operations, all addresses
	Flushed     int           // connections rescued from the old queues
	FlushTook   time.Duration
	Warnings    []string // what is left over
}

// Run performs the handover and returns when the new generation serves alone
// and the old ones have closed their listeners, or why it did not come to
// that: a *StepError. It is called once.
func (c *Coordinator) Run(ctx context.Context) (Result, error) {
	c.setDefaults()
	h := &handover{Coordinator: c}
	for _, s := range h.steps() {
		if err := h.perform(ctx, s); err != nil {
			h.undo(ctx)
			h.release()
			return h.result, &StepError{Step: s.step, CutBack: h.took && len(h.olds) > 0, Untouched: !h.took && len(h.olds) > 0, Err: err}
		}
	}
	h.release()
	h.tell(Event{Step: StepDone})
	return h.result, nil
}

func (c *Coordinator) setDefaults() {
	c.LockTimeout = cmp.Or(c.LockTimeout, defaultLockTimeout)
	c.FlushTimeout = cmp.Or(c.FlushTimeout, defaultFlushTimeout)
	c.ForeignTimeout = cmp.Or(c.ForeignTimeout, defaultForeignTimeout)
	if c.env.terminate == nil {
		c.env = realEnv()
	}
}

// handover is the state of one run, owned by the goroutine of Run.
type handover struct {
	*Coordinator
	lock   *reuse.Lock
	ids    []reuse.GroupID
	found  *survey
	olds   []predecessor
	held   bool // the first of olds steers its group
	joined bool // the newcomer may be a member
	took   bool // clients may be with the newcomer
	result Result
}

type step struct {
	step  Step
	do    func(context.Context) error
	final bool // once it has ended there is nothing to go back to
}

func (h *handover) steps() []step {
	return []step{
		{StepLock, h.acquire, false},
		{StepBind, h.bind, false},
		{StepSurvey, h.survey, false},
		{StepPrepare, h.New.Prepare, false},
		{StepHold, h.hold, false},
		{StepJoin, h.join, false},
		{StepGate, h.New.Gate, false},
		{StepCutover, h.cutover, false},
		{StepBake, h.bake, false},
		{StepRetire, h.retire, true},
		{StepSettle, h.settle, true},
	}
}

func (h *handover) perform(ctx context.Context, s step) error {
	began := time.Now()
	h.tell(Event{Step: s.step})
	err := s.do(ctx)
	if err == nil && !s.final && !h.settled() {
		// A step that ended well may have been told to stop meanwhile.
		err = context.Cause(ctx)
	}
	h.tell(Event{Step: s.step, Took: time.Since(began), Message: "done", Err: err})
	return err
}

// settled tells whether the newcomer has the clients and there is nobody to give
// them back to.
func (h *handover) settled() bool { return h.took && len(h.olds) == 0 }

func (h *handover) tell(e Event) {
	e.Time, e.Result = time.Now(), h.result
	if h.Observe != nil {
		h.Observe(e)
	}
}

func (h *handover) warn(step Step, format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	h.result.Warnings = append(h.result.Warnings, message)
	h.tell(Event{Step: step, Message: message, Warning: true})
}

func (h *handover) acquire(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, h.LockTimeout, fmt.Errorf("waited %v for it to end", h.LockTimeout))
	defer cancel()
	told := false
	l, err := reuse.AcquireLock(ctx, h.Service, func(held *reuse.LockedError) {
		if !told {
			told = true
			h.tell(Event{Step: StepLock, Message: "waiting: " + held.Error()})
		}
	})
	h.lock = l
	return err
}

func (h *handover) release() {
	if h.lock != nil {
		h.lock.Unlock()
	}
}

func (h *handover) bind(ctx context.Context) (err error) {
	h.ids, err = h.New.Bind(ctx)
	return err
}

func (h *handover) survey(ctx context.Context) (err error) {
	if err = h.find(ctx); err != nil {
		return err
	}
	h.result.Generation = h.found.generation()
	h.New.Enter(h.result.Generation)
	if who := describe(h.olds); who != h.result.Predecessor {
		h.result.Predecessor = who
		h.tell(Event{Step: StepSurvey, Message: "taking over from " + who})
	}
	return nil
}

// find looks who is there. The sockets of a process that has just been killed
// are there for a moment without an owner, so that is looked at again.
func (h *handover) find(ctx context.Context) (err error) {
	for range ownerlessLooks {
		if h.found, err = h.look(ctx); err != nil {
			return err
		}
		if h.olds, err = h.found.predecessors(ctx); !errors.Is(err, errOwnerless) {
			return err
		}
		select {
		case <-time.After(ownerlessPause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return err
}

// hold makes the generation that has the clients steer them to itself, so that
// whatever was in force before, however stale, a newcomer gets none. Preparing
// may have taken long, so who is there is looked up once more.
func (h *handover) hold(ctx context.Context) error {
	if err := h.survey(ctx); err != nil {
		return err
	}
	h.held = h.holdOld(ctx, StepHold)
	return nil
}

// holdOld asks for the steering and tells whether it was done. Without it the
// newcomer is still guarded until the cutover: what is at risk is the running
// generation's own program.
func (h *handover) holdOld(ctx context.Context, s Step) bool {
	if len(h.olds) == 0 {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, holdTimeout)
	defer cancel()
	err := h.olds[0].hold(ctx)
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		h.warn(s, "%s did not confirm that its group is steered to it: %v", h.olds[0].name(), err)
	}
	return err == nil
}

// join makes the newcomer a member. Somebody may have closed a socket since
// hold: then the running generation has another place, and the one that its
// program names may be the newcomer's, whose guard answers nobody. So it holds
// once more; from now on its place can only be lost to its own close.
func (h *handover) join(ctx context.Context) error {
	h.joined = true
	if err := h.New.Join(ctx, h.found.joining()); err != nil {
		return err
	}
	if h.held {
		h.holdOld(ctx, StepJoin)
	}
	return nil
}

func (h *handover) cutover(ctx context.Context) error {
	h.took = true
	h.result.CutoverAt = time.Now()
	took, err := h.New.Take(ctx)
	h.result.CutoverTook = took
	return err
}

func (h *handover) bake(ctx context.Context) error {
	if h.Bake <= 0 || len(h.olds) == 0 {
		return nil
	}
	req := control.ParkRequest{Coordinator: h.Instance, CutoverAt: h.result.CutoverAt, Bake: h.Bake}
	if err := h.park(ctx, req); err != nil {
		h.warn(StepBake, "%s could not be parked: %v", h.olds[0].name(), err)
	}
	watchCtx, cancel := context.WithTimeoutCause(ctx, h.Bake, errBaked)
	defer cancel()
	err := h.New.Watch(watchCtx)
	if errors.Is(err, errBaked) {
		return nil
	}
	if ctx.Err() == nil && !h.present(h.olds[0]) {
		h.warn(StepBake, "not gone back, for %s has ended meanwhile: %v", h.olds[0].name(), err)
		return nil
	}
	return err
}

func (h *handover) park(ctx context.Context, req control.ParkRequest) error {
	ctx, cancel := context.WithTimeout(ctx, holdTimeout)
	defer cancel()
	return h.olds[0].park(ctx, req)
}

var errBaked = errors.New("baked")

// retire empties the old queues and closes the old listeners. A predecessor
// that hangs can't be waited for: it keeps its listener, gets no connection, and
// is reported.
func (h *handover) retire(ctx context.Context) error {
	for i, old := range h.olds {
		h.retireOne(ctx, old)
		if err := context.Cause(ctx); err != nil && i == 0 && h.present(old) {
			return err // it may still be gone back to
		}
	}
	return nil
}

func (h *handover) retireOne(ctx context.Context, old predecessor) {
	ctx, cancel := context.WithTimeout(ctx, h.FlushTimeout+old.patience()+afterAnswer)
	defer cancel()
	reply, err := old.retire(ctx, control.DrainRequest{
		Coordinator:  h.Instance,
		FlushTimeout: h.FlushTimeout,
		CutoverAt:    h.result.CutoverAt,
	})
	h.result.Flushed += reply.Flushed
	h.result.FlushTook = max(h.result.FlushTook, reply.FlushDuration)
	if reply.TimedOut {
		h.warn(StepRetire, "%s still had %d connections queued after %v", old.name(), reply.Left, h.FlushTimeout)
	}
	if h.gone(ctx, old) {
		return
	}
	if err == nil {
		err = errors.New("its sockets are still there")
	}
	h.warn(StepRetire, "a listener is left over, and gets no new connection: %s has not closed it: %v: end that process when you can", old.name(), err)
}

// gone waits, for as long as ctx and a little patience last, for the sockets of
// old to have been closed.
func (h *handover) gone(ctx context.Context, old predecessor) bool {
	ctx, cancel := context.WithTimeout(ctx, afterAnswer)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for h.present(old) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// present tells whether some socket of old is still in a group.
func (h *handover) present(old predecessor) bool {
	for _, id := range h.ids {
		g, err := reuse.Look(context.Background(), id)
		if err != nil {
			return true
		}
		for _, c := range old.cookies() {
			if _, ok := g.Find(c); ok {
				return true
			}
		}
	}
	return false
}

// settle makes the program right for the new order. The new generation serves
// whether that succeeds or not, so it is no reason to fail.
func (h *handover) settle(ctx context.Context) error {
	if err := h.New.Settle(context.WithoutCancel(ctx)); err != nil {
		h.warn(StepSettle, "%v", err)
	}
	return nil
}

// undo leaves the service as it was: with the old generation if there is one
// whose listeners are open. It works though ctx may have ended.
func (h *handover) undo(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), backTimeout)
	defer cancel()
	if h.took && len(h.olds) > 0 {
		if err := h.olds[0].hold(ctx); err != nil {
			if !errors.Is(err, errors.ErrUnsupported) {
				h.warn(StepCutover, "%s did not take its connections back by request, so they are given to it: %v", h.olds[0].name(), err)
			}
			if err := h.New.Yield(ctx); err != nil {
				h.warn(StepCutover, "%v", err)
			}
		}
	}
	if h.joined {
		h.New.Leave(ctx)
		h.unsteer(ctx)
	}
}

// unsteer takes the program away from groups that nobody steered before: their
// servers may open sockets as they like.
func (h *handover) unsteer(ctx context.Context) {
	for id, how := range h.found.joining() {
		if how.Attach == nil || how.Others == 0 {
			continue
		}
		network, address := id.Listen()
		if err := (reuse.Config{}).Steer(ctx, network, address, reuse.Plan{}); err != nil {
			h.warn(StepJoin, "%s is left with a program: %v", id, err)
		}
	}
}
