package field

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
)

// Header of a group: suite, class, DEK version, salt, commitment.
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
	labelHead = "\x00head"
	labelMap  = "\x00map"
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

// beginGroup appends the header of a new group and returns its AEAD.
func (c *Cipher) beginGroup(dst []byte, w *work, k Keys, class Class) ([]byte, cipher.AEAD, error) {
	start := len(dst)
	dst = append(dst, byte(c.suite), byte(class))
	dst = binary.BigEndian.AppendUint32(dst, k.Version())
	dst = append(dst, w.salt[int(class)*saltBytes:][:saltBytes]...)
	if err := c.derive(w, k, dst[start:]); err != nil {
		return dst, nil, err
	}
	a, err := w.aead(c.suite)
	return append(dst, w.okm[recordKeyLen:][:commitBytes]...), a, err
}

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
	s := Suite(header[0])
	if s != SuiteCounter && s != SuiteRandom {
		return nil, ErrFormat
	}
	if err := c.derive(w, k, header); err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare(header[headerBound:], w.okm[recordKeyLen:][:commitBytes]) != 1 {
		return nil, ErrCorrupt
	}
	return w.aead(s)
}

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
