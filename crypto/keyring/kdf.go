package keyring

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"sync/atomic"

	"github.com/fieldseal/fieldseal/crypto/secret"
)

// Labels of the derivations; stored data depends on them.
const (
	labelClass     = "fieldseal/class/v1"
	labelRecord    = "fs/rec1" // short: header and binding then fit two SHA-256 blocks
	labelAuditKey  = "fieldseal/audit-key/v1"
	labelPseudonym = "fieldseal/audit-pseudonym/v1"
)

// macState is an HMAC-SHA-256 with its key already absorbed and buffers that
// live on the heap once, so that using it allocates nothing.
type macState struct {
	h   hash.Hash
	in  []byte
	out []byte
}

func newMACState(key []byte) *macState {
	s := &macState{h: hmac.New(sha256.New, key), in: make([]byte, 0, 160), out: make([]byte, 0, sha256.Size)}
	s.h.Reset() // makes the standard library keep the absorbed key
	return s
}

// sum computes the MAC of s.in into s.out.
func (s *macState) sum() []byte {
	s.h.Reset()
	s.h.Write(s.in)
	s.out = s.h.Sum(s.out[:0])
	return s.out
}

// kdf writes SP 800-108r1 §4.1 counter mode to dst:
// block i = HMAC(key, i(4) ‖ label ‖ 0x00 ‖ context ‖ L in bits(4)).
func (s *macState) kdf(dst []byte, label string, context []byte) {
	s.in = append(s.in[:0], 0, 0, 0, 0)
	s.in = append(s.in, label...)
	s.in = append(s.in, 0)
	s.in = append(s.in, context...)
	s.in = binary.BigEndian.AppendUint32(s.in, uint32(len(dst)*8))
	for i := uint32(1); len(dst) > 0; i++ {
		binary.BigEndian.PutUint32(s.in, i)
		dst = dst[copy(dst, s.sum()):]
	}
}

// derive runs one derivation with a state of its own.
func derive(key secret.Bytes, n int, label string, context []byte) secret.Bytes {
	out := make([]byte, n)
	newMACState(key.Expose()).kdf(out, label, context)
	return secret.New(out)
}

// ClassKey derives the record keys of one class of one owner's elements under
// one DEK version. New records are sealed with a Sealer; this opens what older
// releases sealed. Safe for concurrent use.
type ClassKey struct {
	key secret.Bytes
	// idle holds up to two states that nobody uses, so that two requests on
	// one patient need no third; sync.Pool would cost more memory per key
	// than the key itself.
	idle [2]atomic.Pointer[macState]
}

func newClassKey(dek secret.Bytes, class uint8) *ClassKey {
	return &ClassKey{key: derive(dek, keyBytes, labelClass, []byte{class})}
}

// Derive fills dst with a record key (32 bytes) and its commitment (32
// bytes), blocks 1 and 2 of the derivation over info.
func (c *ClassKey) Derive(dst *[64]byte, info []byte) {
	s := c.idle[0].Swap(nil)
	if s == nil {
		s = c.idle[1].Swap(nil)
	}
	if s == nil {
		s = newMACState(c.key.Expose())
	}
	s.kdf(dst[:], labelRecord, info)
	if !c.idle[0].CompareAndSwap(nil, s) {
		c.idle[1].CompareAndSwap(nil, s)
	}
}
