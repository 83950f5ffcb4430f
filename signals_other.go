//go:build !unix

package handover

import "os"

var (
	drainSignals = []os.Signal{os.Interrupt}
	forceSignals []os.Signal
)
