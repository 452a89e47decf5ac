// Package secret holds key bytes that cannot leak by accident: they redact
// themselves in every fmt verb, in JSON, text and gob encodings and in slog.
//
// Start with Bytes. Security notes: the bytes sit behind a pointer to a
// pointer. fmt calls no methods on unexported fields, and for verbs such as %s
// it follows one pointer to a struct or slice, but never a pointer to a
// pointer: so a Bytes in an unexported field shows an address, not the key. Expose is the only way to
// the bytes and is easy to find in a review. Wipe zeroes this copy; Go may
// have moved or copied others, so wiping is hygiene and not a guarantee.
package secret

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// Redacted is what every rendering of a Bytes shows.
const Redacted = "[redacted]"

// errEncoded refuses encodings that would need the bytes to be useful.
var errEncoded = errors.New("secret bytes cannot be encoded")

type box struct{ b []byte }

// Bytes is secret key material. The zero value is empty. Copies share the
// same memory; all methods but Wipe may be called concurrently.
type Bytes struct{ p **box }

// New takes ownership of b: the caller must not use it afterwards.
func New(b []byte) Bytes {
	p := &box{b}
	return Bytes{&p}
}

// Copy makes a Bytes of a copy of b.
func Copy(b []byte) Bytes { return New(append([]byte(nil), b...)) }

// Random returns n bytes from the system's generator, which never fails
// (crypto/rand.Read ends the process instead).
func Random(n int) Bytes {
	b := make([]byte, n)
	_, _ = rand.Read(b) // documented never to return an error
	return New(b)
}

// Expose returns the bytes themselves, not a copy. They must not be kept or
// changed.
func (b Bytes) Expose() []byte {
	if b.p == nil {
		return nil
	}
	return (*b.p).b
}

// Len returns the number of bytes.
func (b Bytes) Len() int { return len(b.Expose()) }

// Equal compares in constant time; only the lengths may show.
func (b Bytes) Equal(o Bytes) bool {
	return subtle.ConstantTimeCompare(b.Expose(), o.Expose()) == 1
}

// Wipe zeroes the bytes in every copy of b and empties them. Nobody else may
// be using them.
func (b Bytes) Wipe() {
	if b.p == nil {
		return
	}
	clear((*b.p).b)
	(*b.p).b = nil
}

// String implements fmt.Stringer.
func (b Bytes) String() string { return Redacted }

// GoString implements fmt.GoStringer.
func (b Bytes) GoString() string { return Redacted }

// Format implements fmt.Formatter for every verb.
func (b Bytes) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Redacted) }

// MarshalJSON implements json.Marshaler.
func (b Bytes) MarshalJSON() ([]byte, error) { return []byte(`"` + Redacted + `"`), nil }

// MarshalText implements encoding.TextMarshaler.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// MarshalBinary refuses, so that no binary codec stores a key by accident.
func (b Bytes) MarshalBinary() ([]byte, error) { return nil, errEncoded }

// GobEncode refuses.
func (b Bytes) GobEncode() ([]byte, error) { return nil, errEncoded }

// LogValue implements slog.LogValuer.
func (b Bytes) LogValue() slog.Value { return slog.StringValue(Redacted) }
