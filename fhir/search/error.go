package search

import "errors"

// Sentinel errors that a *ParameterError wraps.
var (
	// ErrUnknownParameter: R4 defines no such parameter for the type.
	ErrUnknownParameter = errors.New("unknown search parameter")
	// ErrNotOffered: R4 defines it, this server does not answer it.
	ErrNotOffered = errors.New("search parameter is not offered")
	// ErrMalformed: the value cannot be read.
	ErrMalformed = errors.New("malformed search")
	// ErrModifier: the parameter does not take the modifier. Lenient handling
	// refuses it too (R4 search.html#modifiers).
	ErrModifier = errors.New("modifier is not allowed")
)

// ParameterError names the parameter at fault, never the value.
type ParameterError struct {
	Parameter string // empty when the whole query is at fault
	Reason    string // for people; may be empty
	Err       error  // one of the sentinels
}

func (e *ParameterError) Error() string {
	s := e.Err.Error()
	if e.Parameter != "" {
		s = e.Parameter + ": " + s
	}
	if e.Reason != "" {
		s += " (" + e.Reason + ")"
	}
	return s
}

func (e *ParameterError) Unwrap() error { return e.Err }

// UndecidedError means that the terminology could not tell whether codes fit
// what a parameter asks. Its text names neither.
type UndecidedError struct {
	Parameter string
	Err       error // of Terminology
}

func (e *UndecidedError) Error() string {
	return e.Parameter + ": the terminology held here cannot answer"
}

// Unwrap returns the terminology's error.
func (e *UndecidedError) Unwrap() error { return e.Err }
