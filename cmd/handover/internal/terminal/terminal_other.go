//go:build !linux

package terminal

import "os"

// isTerminal is false where this program has nothing to draw.
func isTerminal(*os.File) bool { return false }
