package health

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
)

// DefaultCheckTimeout bounds a [Check] that names no timeout.
const DefaultCheckTimeout = 5 * time.Second

// Check is one named condition of being ready, such as a reachable database.
type Check struct {
	// Name is shown in answers and named by ?exclude=. It must be unique, printable and without spaces; "serving" is taken.
	Name string

	// Timeout bounds one call of Func; zero means DefaultCheckTimeout.
	Timeout time.Duration

	// Func returns nil when the condition holds, else the reason why not. It is never called twice at once. Its context
	// ends at the timeout and belongs to no request, since several requests may share the answer. A panic is a failure.
	// The Probe method of any [Probe] fits here.
	Func func(ctx context.Context) error
}

func (c Check) validate() error {
	unfit := func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }
	switch {
	case c.Name == "":
		return errors.New("check without a name")
	case strings.ContainsFunc(c.Name, unfit) || len(c.Name) > 64:
		return fmt.Errorf("check %q: a name has at most 64 printable characters and no spaces", c.Name)
	case c.Name == servingName:
		return fmt.Errorf("check %q: the name is taken by the state of the server itself", c.Name)
	case c.Timeout < 0:
		return fmt.Errorf("check %q: negative timeout %v", c.Name, c.Timeout)
	case c.Func == nil:
		return fmt.Errorf("check %q: no Func", c.Name)
	}
	return nil
}
