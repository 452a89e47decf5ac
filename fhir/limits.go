package fhir

import (
	"errors"
	"fmt"
)

// Limits bound what one call of Parse may cost. A zero field means the field
// of DefaultLimits.
type Limits struct {
	MaxBytes int // size of the input, checked before anything is read
	MaxDepth int // objects and arrays inside each other
}

// DefaultLimits are the limits of the product. 8 MiB leaves room for the
// sealed form in a database document of 16 MiB; 100 levels is four times what
// any official example uses and refuses a Bundle nested 50 deep (three levels
// each) long before a goroutine stack matters.
var DefaultLimits = Limits{MaxBytes: 8 << 20, MaxDepth: 100}

// Limits of number literals. R4 asks servers to keep the precision of
// decimals and expects about 18 digits (R4 datatypes.html#decimal).
const (
	// MaxNumberDigits bounds the digits before the exponent, so that exact
	// arithmetic on a hostile literal stays cheap.
	MaxNumberDigits = 64
	// MaxNumberExponent bounds the exponent to what a float64 can hold, so
	// that no reader of the resource turns 1e999999 into infinity or into a
	// million digits.
	MaxNumberExponent = 308
)

// An input may hold one value per bytesPerValue bytes of Limits.MaxBytes, and
// at least minValues: resources need about 24 bytes a value, and an array of
// single digits would otherwise cost 36 times its size in memory.
const (
	bytesPerValue = 16
	minValues     = 1 << 16
)

// ErrTooLarge is returned for inputs over Limits.MaxBytes.
var ErrTooLarge = errors.New("fhir: input exceeds the size limit")

// SyntaxError says where and why an input is not an acceptable JSON document.
// It never contains a value of the input; a member name appears in Path only
// when it has the shape of a FHIR element name.
type SyntaxError struct {
	Offset int    // byte offset in the input
	Path   string // such as name[0].given[1], empty for the root
	Reason string
}

func (e *SyntaxError) Error() string {
	if e.Path == "" {
		return fmt.Sprintf("fhir: offset %d: %s", e.Offset, e.Reason)
	}
	return fmt.Sprintf("fhir: offset %d, %s: %s", e.Offset, e.Path, e.Reason)
}

func (l Limits) orDefault() Limits {
	if l.MaxBytes <= 0 {
		l.MaxBytes = DefaultLimits.MaxBytes
	}
	if l.MaxDepth <= 0 {
		l.MaxDepth = DefaultLimits.MaxDepth
	}
	return l
}
