package field

import (
	"crypto/cipher"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"github.com/fieldseal/fieldseal/crypto/keyring"
)

// Header of group 0: suite, class, DEK version, salt, commitment. The header of
// another group is the same with its own class; its commitment stands in group 0.
const (
	saltBytes    = 16
	commitBytes  = 16
	headerBound  = 1 + 1 + 4 + saltBytes // what the derivation takes in
	headerBytes  = headerBound + commitBytes
	placeBytes   = sha256.Size + 1
	recordKeyLen = 32      // of older formats
	maxOverhead  = 12 + 16 // nonce and tag of a chunk
)

// Labels in the associated data of slot 0, which has no element path.
const labelMap = "\x00map"

// headLabels are those of group 0, by format.
var headLabels = [formatVersion + 1]string{formatHeaders: "\x00head", formatRecordKeys: "\x00head2", formatVersion: "\x00head3"}

// bindRecord prepares what says where a record belongs: its header stands
// before it.
func (w *work) bindRecord(b *Binding) {
	w.info = append(w.info[:0], make([]byte, headerBound)...)
	w.info = appendBytes(w.info, b.Tenant[:])
	w.info = append(binary.AppendUvarint(w.info, uint64(len(b.Type))), b.Type...)
	w.info = appendBytes(w.info, b.Key[:])
	w.info = binary.BigEndian.AppendUint64(append(w.info, 8), b.Version)
}

// bindHeader takes in the header of the record, whose place then is
// SHA-256(header with class 0 ‖ lp(tenant) lp(type) lp(storage key) lp(version)).
func (w *work) bindHeader() {
	w.head[1] = byte(Group0)
	copy(w.info, w.head[:])
	*(*[sha256.Size]byte)(w.place[:]) = sha256.Sum256(w.info)
}

func (c *Cipher) observe(op operation, class Class) {
	if c.watch != nil {
		c.watch(op, class)
	}
}

// nonce is that of a chunk, or nothing where the AEAD draws its own.
func (w *work) nonce(a cipher.AEAD, slot uint32) []byte {
	if a.NonceSize() == 0 {
		return nil
	}
	w.iv = w.base
	binary.BigEndian.PutUint32(w.iv[8:], binary.BigEndian.Uint32(w.iv[8:])^slot)
	return w.iv[:]
}

// newHead makes the header of a new record.
func (c *Cipher) newHead(w *work, k Keys) error {
	w.head[0], w.head[1] = byte(c.suite), byte(Group0)
	binary.BigEndian.PutUint32(w.head[2:], k.Version())
	w.form = formatVersion
	_, err := io.ReadFull(c.random, w.head[headerBound-saltBytes:])
	w.bindHeader()
	return err
}

// group returns the AEAD of a class of the record whose header stands in
// w.head, and sets w.commit and what nonces are made of.
func (c *Cipher) group(w *work, k Keys, class Class) (cipher.AEAD, error) {
	version := binary.BigEndian.Uint32(w.head[2:6])
	if w.form != formatVersion {
		return c.formerGroup(w, k, version, class)
	}
	s, err := k.Sealer(version, uint8(class), Suite(w.head[0]) == SuiteDrawn)
	if err != nil {
		return nil, fmt.Errorf("key of class %s: %w", class, err)
	}
	c.observe(opDerive, class)
	s.Mark(&w.mark, (*[keyring.DigestBytes]byte)(w.place[:]))
	copy(w.base[:], w.mark[:])
	copy(w.commit[:], w.mark[keyring.MarkBytes-commitBytes:])
	w.place[placeBytes-1] = byte(class)
	return s.AEAD(), nil
}

// sealSlot appends length and ciphertext of the payload w.plain[from:], bound
// to w.aad.
func (c *Cipher) sealSlot(dst []byte, w *work, a cipher.AEAD, class Class, slot uint32, from int) []byte {
	c.observe(opSeal, class)
	payload := w.plain[from:]
	w.longest = max(w.longest, len(w.plain))
	dst = binary.AppendUvarint(dst, uint64(len(payload)+a.Overhead()))
	return a.Seal(dst, w.nonce(a, slot), payload, w.aad) // #nosec G407 -- a derived nonce, see Suite
}

// bindSlot starts the associated data: the record's place ‖ class ‖ slot
// number ‖ what follows. Records of older formats have a key for their place.
func (w *work) bindSlot(slot uint32, label string) {
	w.aad = w.aad[:0]
	if w.form == formatVersion {
		w.aad = append(w.aad, w.place[:]...)
	}
	w.aad = append(binary.BigEndian.AppendUint32(w.aad, slot), label...)
}

// openGroup checks a header against the derivation and returns the AEAD of its
// group. The key version in the header names exactly one DEK version.
func (c *Cipher) openGroup(w *work, k Keys, class Class, r *reader) (cipher.AEAD, error) {
	header := r.take(headerBytes)
	if r.bad || Class(header[1]) != class {
		return nil, ErrCorrupt
	}
	if !Suite(header[0]).of(w.form) {
		return nil, ErrFormat
	}
	copy(w.head[:], header)
	if class == Group0 {
		w.bindHeader()
	}
	return c.committed(w, k, class, header[headerBound:])
}

// committed is group for a group whose commitment is known.
func (c *Cipher) committed(w *work, k Keys, class Class, commit []byte) (cipher.AEAD, error) {
	a, err := c.group(w, k, class)
	if err == nil && subtle.ConstantTimeCompare(commit, w.commit[:]) != 1 {
		err = ErrCorrupt
	}
	return a, err
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
	w.plain = slices.Grow(w.plain, len(ct)) // GCM would make room for this one only, and copy all before it
	plain, err := a.Open(w.plain, w.nonce(a, slot), ct, w.aad)
	if err != nil {
		return 0, ErrCorrupt
	}
	w.plain = plain
	return from, nil
}
