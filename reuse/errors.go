package reuse

import (
	"errors"
	"fmt"
	"runtime"
)

// errUnsupported is what every operation returns on systems other than Linux.
var errUnsupported = fmt.Errorf("reuse: %w on %s: steering a reuseport group needs Linux", errors.ErrUnsupported, runtime.GOOS)
