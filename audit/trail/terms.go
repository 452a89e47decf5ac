package trail

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"sync"
)

// Kinds of index terms, part of the keyed input.
const (
	termAgent   = 1
	termKind    = 2
	termSubtype = 3
)

// termer computes index terms: the first 8 bytes of HMAC-SHA-256 under the audit
// index key. Equal values give equal terms, which shows how often an account or
// a type of event occurs, never which.
type termer struct{ pool sync.Pool }

type termState struct {
	mac hash.Hash
	buf []byte
	sum [sha256.Size]byte
}

func newTermer(key []byte) *termer {
	key = append([]byte(nil), key...)
	return &termer{pool: sync.Pool{New: func() any { return &termState{mac: hmac.New(sha256.New, key)} }}}
}

func (t *termer) term(kind byte, values ...string) uint64 {
	s := t.pool.Get().(*termState)
	s.buf = append(s.buf[:0], kind)
	for _, v := range values {
		s.buf = binary.BigEndian.AppendUint32(s.buf, uint32(len(v)))
		s.buf = append(s.buf, v...)
	}
	s.mac.Reset()
	s.mac.Write(s.buf)
	out := binary.BigEndian.Uint64(s.mac.Sum(s.sum[:0]))
	t.pool.Put(s)
	return out
}

// patientTerm is the term of a patient: the start of the pseudonym, which is
// itself keyed by the patient's own secret.
func patientTerm(p Pseudonym) uint64 { return binary.BigEndian.Uint64(p[:8]) }
