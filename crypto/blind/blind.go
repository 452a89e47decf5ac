// Package blind makes search tokens: keyed, one-way names of search terms by
// which an engine can find records without seeing a value.
//
// Start with Tokenizer. A token is the first 8 bytes of
//
//	HMAC-SHA-256(index key, lp(tenant) lp(type) lp(parameter) kind lp(normaliser version) lp(part)…)
//
// where lp is a 4-byte big-endian length and the bytes, so that no two
// different inputs run together.
//
// Security notes: equal values of one parameter have equal tokens, so an
// engine sees how often each value occurs (docs/threat-model.md). Tokens of
// different keys, tenants, types, parameters and kinds are unrelated. Tokens
// may collide; every candidate is rechecked on the opened value.
//
// Compatible for ever: the input above and the kind numbers.
package blind

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"sync"

	"github.com/fieldseal/fieldseal/crypto/secret"
)

// NormaliserVersion counts the ways in which terms were folded and bucketed
// before they came here. A change of those rules raises it, so that tokens of
// different rules never mix.
const NormaliserVersion = 1

// Tokenizer makes tokens under one key. Safe for concurrent use; a call
// allocates nothing.
type Tokenizer struct {
	pool sync.Pool
	mask uint64
}

// state is an HMAC that has absorbed the key, with its buffers.
type state struct {
	h      hash.Hash
	in     []byte
	out    []byte
	prefix int // length of lp(tenant) at the start of in
}

// New returns a Tokenizer. key is an index-epoch key or an owner's index key,
// of at least 14 bytes (SP 800-131A); a shorter one is a programming error.
func New(key secret.Bytes, tenant [16]byte) *Tokenizer {
	if key.Len() < 14 {
		panic("blind: index key is too short")
	}
	t := &Tokenizer{mask: ^uint64(0)}
	t.pool.New = func() any {
		s := &state{h: hmac.New(sha256.New, key.Expose()), out: make([]byte, 0, sha256.Size)}
		s.h.Reset() // makes the standard library keep the absorbed key
		s.in = append(make([]byte, 0, 256), 0, 0, 0, byte(len(tenant)))
		s.in = append(s.in, tenant[:]...)
		s.prefix = len(s.in)
		return s
	}
	return t
}

// test is what a *testing.T, B or F can do and nothing in the product can.
type test interface {
	Helper()
	TempDir() string
	Failed() bool
}

// NewInsecureTruncated is for tests of recheck only: its tokens keep the given
// number of low bits, so that nearly everything collides.
func NewInsecureTruncated(tb test, key secret.Bytes, tenant [16]byte, bits uint) *Tokenizer {
	tb.Helper()
	t := New(key, tenant)
	t.mask = 1<<bits - 1
	return t
}

// Token returns the token of a term whose value has the parts that kind
// names.
func (t *Tokenizer) Token(resourceType, parameter string, kind Kind, parts ...string) int64 {
	s, b := t.begin(resourceType, parameter, kind)
	for _, p := range parts {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(p))), p...)
	}
	return t.end(s, b)
}

// TokenBytes is Token for parts in bytes; equal bytes give equal tokens.
func (t *Tokenizer) TokenBytes(resourceType, parameter string, kind Kind, parts ...[]byte) int64 {
	s, b := t.begin(resourceType, parameter, kind)
	for _, p := range parts {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(p))), p...)
	}
	return t.end(s, b)
}

// begin takes a state and writes everything before the parts. It writes
// lp by hand: the generic form allocates.
func (t *Tokenizer) begin(resourceType, parameter string, kind Kind) (*state, []byte) {
	s := t.pool.Get().(*state)
	b := append(binary.BigEndian.AppendUint32(s.in[:s.prefix], uint32(len(resourceType))), resourceType...)
	b = append(binary.BigEndian.AppendUint32(b, uint32(len(parameter))), parameter...)
	b = append(b, byte(kind))
	return s, append(b, 0, 0, 0, 4, 0, 0, 0, NormaliserVersion)
}

// end computes the token of b and gives the state back.
func (t *Tokenizer) end(s *state, b []byte) int64 {
	s.h.Reset()
	s.h.Write(b)
	s.out = s.h.Sum(s.out[:0])
	n := binary.BigEndian.Uint64(s.out) & t.mask
	if cap(b) <= maxKept {
		clear(b[s.prefix:]) // a value must not outlive its call
		s.in = b[:s.prefix]
	}
	t.pool.Put(s)
	return int64(n)
}

// maxKept bounds the buffer that a state keeps after a long value.
const maxKept = 4096
