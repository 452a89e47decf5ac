package field

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
)

// Records of formats 1 and 2, which are opened and written no more: a key for
// each record and class, and a ciphertext for each slot.

// formerGroup derives record key and commitment of a group:
// KDF(class key, header[0:22] ‖ lp(tenant) lp(type) lp(storage key) lp(version)).
func (c *Cipher) formerGroup(w *work, k Keys, version uint32, class Class) (cipher.AEAD, error) {
	ck, err := k.ClassKey(version, uint8(class))
	if err != nil {
		return nil, fmt.Errorf("key of class %s: %w", class, err)
	}
	c.observe(opDerive, class)
	w.head[1] = byte(class)
	copy(w.info, w.head[:])
	ck.Derive(&w.okm, w.info)
	copy(w.commit[:], w.okm[recordKeyLen:])
	w.base = [12]byte{} // the nonce is the slot number
	block, err := aes.NewCipher(w.okm[:recordKeyLen])
	if err != nil {
		return nil, err
	}
	if Suite(w.head[0]) == SuiteRandom {
		return cipher.NewGCMWithRandomNonce(block)
	}
	return cipher.NewGCM(block)
}

// openFormer opens the slots of one visible class behind its map, each of
// which is a ciphertext.
func (c *Cipher) openFormer(w *work, a cipher.AEAD, g *groupInfo, visible ClassSet, r *reader) error {
	w.bindSlot(0, labelMap)
	from, err := c.openSlot(w, a, g.class, 0, r)
	if err != nil {
		return err
	}
	m := reader{b: w.plain[from:]}
	if !w.readMap(&m, g.class, g.slots, false) || !m.zero() {
		return ErrCorrupt
	}
	entries := w.entries[len(w.entries)-int(g.slots):]
	for i := range entries {
		e := &entries[i]
		if e.from == none && !e.shown(visible) {
			r.take(r.uvarint())
		} else if err := c.openAlone(w, a, e, uint32(i+1), r); err != nil {
			return err
		}
	}
	return nil
}
