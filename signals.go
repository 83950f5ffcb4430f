package handover

import (
	"maps"
	"os"
	"os/signal"
	"slices"
)

// Signals says what signals do. By default SIGTERM and SIGINT drain and end the
// process, a second one of either ends it at once, and SIGUSR2 ends it at once
// without a first. A signal to a version that is draining already, because it
// was relieved, counts as the first.
type Signals struct {
	// Off leaves all signals to the caller: then end the context.
	Off bool

	// Hooks are called around what a signal does. A hook for a signal that has
	// no meaning here, such as SIGUSR1 or SIGTSTP, makes it be caught.
	Hooks map[os.Signal]SignalHook
}

// SignalHook is called around what a signal does. Each function may be nil.
type SignalHook struct {
	Before func() // before anything else is done
	After  func() // when what the signal does has begun
}

// watchSignals acts on signals until stop is closed.
func watchSignals(s Signals, p *process, stop <-chan struct{}) {
	if s.Off {
		return
	}
	caught := append(slices.Collect(maps.Keys(s.Hooks)), drainSignals...)
	caught = append(caught, forceSignals...)
	ch := make(chan os.Signal, 8)
	signal.Notify(ch, caught...)
	go func() {
		defer signal.Stop(ch)
		first := true
		for {
			select {
			case sig := <-ch:
				first = p.onSignal(s, sig, first)
			case <-stop:
				return
			}
		}
	}()
}

// onSignal acts on one signal and tells whether a first one to drain is still
// to come.
func (p *process) onSignal(s Signals, sig os.Signal, first bool) bool {
	hook := s.Hooks[sig]
	if hook.Before != nil {
		hook.Before()
	}
	switch {
	case slices.Contains(forceSignals, sig), slices.Contains(drainSignals, sig) && !first:
		p.opts.Logger.Warn("ending at once", "signal", sig.String())
		p.force()
	case slices.Contains(drainSignals, sig):
		p.opts.Logger.Info("draining", "signal", sig.String())
		p.end()
		first = false
	}
	if hook.After != nil {
		hook.After()
	}
	return first
}
