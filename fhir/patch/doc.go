// Package patch changes a resource by JSON Patch (RFC 6902) or FHIRPath Patch
// (R4 fhirpatch.html) on the lossless tree: what an operation does not touch
// keeps its bytes, the digits of numbers and the order of members included.
//
// Start with ParseJSON and ParseParameters; what they return has Apply.
//
// Security notes: patches come from clients and may be hostile. The number of
// operations, the bytes that copying adds and the work on long lists are
// bounded. Errors name the operation and the path by element names and
// indexes, never by a value. Nothing here knows what a caller may see: give
// Apply a resource that holds no more than that.
package patch

import (
	"errors"
	"fmt"
	"strings"

	"github.com/fieldseal/fieldseal/fhir"
)

// MaxOperations bounds a patch: a client that changes more than that sends the
// resource.
const MaxOperations = 1000

// maxWork bounds the nodes that all operations together look at or move. It is
// some tenths of a second.
const maxWork = 5_000_000

// The reasons of an Error.
var (
	ErrMalformed = errors.New("the patch is malformed")
	ErrTooLarge  = errors.New("the patch does more than this server allows")
	ErrTarget    = errors.New("the path does not lead to what the operation needs")
	ErrTest      = errors.New("the test failed")
	ErrValue     = errors.New("the value does not fit the element")
)

// Error says which operation could not be applied. It wraps one of the reasons
// and holds no value.
type Error struct {
	Operation int    // index of the operation, -1 for the patch as a whole
	Path      string // as shown to people
	Detail    string
	Err       error
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.Operation >= 0 {
		fmt.Fprintf(&b, "operation %d", e.Operation)
		if e.Path != "" {
			b.WriteString(" (" + e.Path + ")")
		}
		b.WriteString(": ")
	}
	b.WriteString(e.Err.Error())
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	}
	return b.String()
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// because is an Error whose operation Apply fills in.
func because(reason error, detail string) error { return &Error{Err: reason, Detail: detail} }

// within completes an error with the operation that it is about.
func within(err error, operation int, path string) *Error {
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Err: err}
	}
	return &Error{Operation: operation, Path: path, Detail: e.Detail, Err: e.Err}
}

// effort is what is left of maxWork and of the bytes that copies may add.
type effort struct{ work, bytes int }

func (e *effort) look(n int) bool { e.work -= n + 1; return e.work >= 0 }

// copied takes the size of a copied value.
func (e *effort) copied(n *fhir.Node) bool {
	e.bytes -= size(n)
	return e.bytes >= 0 && e.work >= 0
}

// size is about how many bytes a value has as JSON.
func size(n *fhir.Node) int {
	total := len(n.Raw()) + len(n.Name()) + 4
	for i := range n.Len() {
		total += size(n.At(i))
	}
	return total
}

// elementName reports whether a name can be shown: one that no FHIR element
// could have is client data.
func elementName(s string) bool {
	s = strings.TrimPrefix(s, "_")
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c|0x20 < 'a' || c|0x20 > 'z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return true
}
