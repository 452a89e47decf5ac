package terminology

import (
	"errors"
	"fmt"
	"strconv"
)

// The classes of failures; errors.Is finds them. A failure of the Source and
// the end of a context are returned as they are.
var (
	// ErrNotFound: no such value set, or no such code in a complete code system.
	ErrNotFound = errors.New("not found")
	// ErrNotSupported: the content that would be needed is not held here, or
	// the definition uses something that this package does not evaluate.
	ErrNotSupported = errors.New("not supported")
	// ErrInvalid: a stored definition contradicts itself (a cycle, a pattern
	// that is none).
	ErrInvalid = errors.New("invalid definition")
	// ErrTooCostly: a bound of Limits was reached.
	ErrTooCostly = errors.New("too costly")
	// ErrTooMany: the expansion is larger than the limit of the call.
	ErrTooMany = errors.New("too many concepts")
)

// maxNamed bounds what a message repeats of a canonical.
const maxNamed = 200

// failure is an error of a class about one canonical.
type failure struct {
	class     error
	canonical string
	reason    string
}

func (f *failure) Error() string {
	name := f.canonical
	if len(name) > maxNamed {
		name = name[:maxNamed]
	}
	return fmt.Sprintf("terminology: %s: %s: %s", strconv.Quote(name), f.class, f.reason)
}

func (f *failure) Unwrap() error { return f.class }

func fail(class error, canonical, reason string) error {
	return &failure{class: class, canonical: canonical, reason: reason}
}

// open reports whether err leaves a question open instead of ending the call:
// another part of the definition may still answer it.
func open(err error) bool {
	return errors.Is(err, ErrNotSupported) || errors.Is(err, ErrNotFound)
}
