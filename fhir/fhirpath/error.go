package fhirpath

import (
	"errors"
	"fmt"
)

// Classes of errors.
var (
	ErrSyntax     = errors.New("not a FHIRPath expression")
	ErrSemantic   = errors.New("the expression cannot be evaluated on its context")
	ErrEvaluation = errors.New("evaluation ended")
	ErrLimit      = errors.New("limit exceeded")
)

// Error says where in the expression what went wrong. Its text contains names
// of the expression, never values of the data.
type Error struct {
	Class  error // one of the sentinels
	Offset int   // byte in the expression
	Reason string
}

func (e *Error) Error() string {
	return fmt.Sprintf("fhirpath: %v: offset %d: %s", e.Class, e.Offset, e.Reason)
}

// Unwrap returns the class.
func (e *Error) Unwrap() error { return e.Class }

func fail(class error, pos int, format string, args ...any) error {
	return &Error{Class: class, Offset: pos, Reason: fmt.Sprintf(format, args...)}
}
