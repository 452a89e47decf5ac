package field

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"io"
)

// Header of group 0: suite, class, DEK version, salt, commitment. The header of
// another group is the same with its own class; its commitment stands in group 0.
const (
	saltBytes    = 16
	commitBytes  = 16
	headerBound  = 1 + 1 + 4 + saltBytes // what the derivation takes in
	headerBytes  = headerBound + commitBytes
	recordKeyLen = 32
	maxOverhead  = 12 + 16 // nonce and tag of a slot
)

// Labels in the associated data of slot 0, which has no element path.
const (
	labelHead        = "\x00head2"
	labelHeadHeaders = "\x00head" // of formatHeaders
	labelMap         = "\x00map"
)

// derive computes the record key and commitment of a group into w.okm:
// KDF(class key, header[0:22] ‖ lp(tenant) lp(type) lp(storage key) lp(version)).
func (c *Cipher) derive(w *work, k Keys, header []byte) error {
	class := Class(header[1])
	ck, err := k.ClassKey(binary.BigEndian.Uint32(header[2:6]), uint8(class))
	if err != nil {
		return fmt.Errorf("key of class %s: %w", class, err)
	}
	c.observe(opDerive, class)
	copy(w.info, header[:headerBound])
	ck.Derive(&w.okm, w.info)
	return nil
}

// bindRecord prepares what every derivation of one record takes in; derive
// puts the header of the group before it.
func (w *work) bindRecord(b *Binding) {
	w.info = append(w.info[:0], make([]byte, headerBound)...)
	w.info = appendBytes(w.info, b.Tenant[:])
	w.info = append(binary.AppendUvarint(w.info, uint64(len(b.Type))), b.Type...)
	w.info = appendBytes(w.info, b.Key[:])
	w.info = binary.BigEndian.AppendUint64(append(w.info, 8), b.Version)
}

func (c *Cipher) observe(op operation, class Class) {
	if c.watch != nil {
		c.watch(op, class)
	}
}

// aead returns the cipher of the group whose key stands in w.okm.
func (w *work) aead(s Suite) (cipher.AEAD, error) {
	block, err := aes.NewCipher(w.okm[:recordKeyLen])
	if err != nil {
		return nil, err
	}
	if s == SuiteRandom {
		return cipher.NewGCMWithRandomNonce(block)
	}
	return cipher.NewGCM(block)
}

// nonce is the slot number, or nothing where the AEAD draws its own.
func (w *work) nonce(a cipher.AEAD, slot uint32) []byte {
	if a.NonceSize() == 0 {
		return nil
	}
	binary.BigEndian.PutUint32(w.iv[8:], slot)
	return w.iv[:]
}

// newHead makes the header of a new record.
func (c *Cipher) newHead(w *work, k Keys) error {
	w.head[0], w.head[1] = byte(c.suite), byte(Group0)
	binary.BigEndian.PutUint32(w.head[2:], k.Version())
	_, err := io.ReadFull(c.random, w.head[headerBound-saltBytes:])
	return err
}

// group returns the AEAD of a class of the record whose header stands in
// w.head; its commitment is w.commitment.
func (c *Cipher) group(w *work, k Keys, class Class) (cipher.AEAD, error) {
	w.head[1] = byte(class)
	if err := c.derive(w, k, w.head[:]); err != nil {
		return nil, err
	}
	return w.aead(Suite(w.head[0]))
}

// commitment is that of the group derived last.
func (w *work) commitment() []byte { return w.okm[recordKeyLen:][:commitBytes] }

// sealSlot appends length and ciphertext of the payload w.plain[from:], bound
// to w.aad.
func (c *Cipher) sealSlot(dst []byte, w *work, a cipher.AEAD, class Class, slot uint32, from int) []byte {
	c.observe(opSeal, class)
	payload := w.plain[from:]
	w.longest = max(w.longest, len(w.plain))
	dst = binary.AppendUvarint(dst, uint64(len(payload)+a.Overhead()))
	return a.Seal(dst, w.nonce(a, slot), payload, w.aad) // #nosec G407 -- one key per record and class, the slot number as nonce
}

// bindSlot starts the associated data: slot number ‖ what follows.
func (w *work) bindSlot(slot uint32, label string) {
	w.aad = append(binary.BigEndian.AppendUint32(w.aad[:0], slot), label...)
}

// openGroup checks the header of a group against the derivation and returns
// its AEAD. The key version in the header names exactly one DEK version.
func (c *Cipher) openGroup(w *work, k Keys, class Class, r *reader) (cipher.AEAD, error) {
	header := r.take(headerBytes)
	if r.bad || Class(header[1]) != class {
		return nil, ErrCorrupt
	}
	if !Suite(header[0]).known() {
		return nil, ErrFormat
	}
	copy(w.head[:], header)
	return c.committed(w, k, class, header[headerBound:])
}

// committed is group for a group whose commitment is known.
func (c *Cipher) committed(w *work, k Keys, class Class, commit []byte) (cipher.AEAD, error) {
	a, err := c.group(w, k, class)
	if err == nil && subtle.ConstantTimeCompare(commit, w.commitment()) != 1 {
		err = ErrCorrupt
	}
	return a, err
}

func (s Suite) known() bool { return s == SuiteCounter || s == SuiteRandom }

// openSlot opens the next slot of a group, bound to w.aad, and appends its
// payload to w.plain.
func (c *Cipher) openSlot(w *work, a cipher.AEAD, class Class, slot uint32, r *reader) (from int, err error) {
	ct := r.take(r.uvarint())
	if r.bad || len(ct) < a.Overhead() {
		return 0, ErrCorrupt
	}
	c.observe(opOpen, class)
	from = len(w.plain)
	plain, err := a.Open(w.plain, w.nonce(a, slot), ct, w.aad)
	if err != nil {
		return 0, ErrCorrupt
	}
	w.plain = plain
	return from, nil
}
