//go:build !unix

package cutover

import "errors"

func terminate(int) error { return errors.ErrUnsupported }
