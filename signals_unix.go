//go:build unix

package handover

import (
	"os"
	"syscall"
)

var (
	drainSignals = []os.Signal{syscall.SIGTERM, syscall.SIGINT}
	forceSignals = []os.Signal{syscall.SIGUSR2}
)
