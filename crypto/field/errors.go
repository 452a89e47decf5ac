package field

import "errors"

// Sentinel errors. Their texts never hold element values or keys.
var (
	// ErrCorrupt: the sealed record does not open at this binding. It was
	// changed, cut, extended, swapped or moved, or belongs to other keys.
	ErrCorrupt = errors.New("sealed record does not open at its binding")
	// ErrFormat: the record was written in a format or suite that this build
	// does not know.
	ErrFormat = errors.New("unknown sealed record format")
	// ErrTooLarge: a resource has more slots than the format allows.
	ErrTooLarge = errors.New("resource has too many sealed slots")
	// ErrBinding: the binding is incomplete or of another tenant.
	ErrBinding = errors.New("incomplete or foreign binding")
)
