package field

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/fieldseal/fieldseal/fhir"
)

// Seal appends the sealed record of r to dst and fills h.Present and
// h.Modifiers; every other field of h is the caller's and is sealed as group
// 0. A nil r is a tombstone: group 0 alone. r is only read. The record opens
// only under the same binding.
func (c *Cipher) Seal(dst []byte, b Binding, k Keys, h *Head, r *fhir.Resource) ([]byte, error) {
	if r != nil && r.Type() != b.Type {
		return dst, fmt.Errorf("%w: resource is of another type", ErrBinding)
	}
	w, err := c.begin(&b)
	if err != nil {
		return dst, err
	}
	defer c.end(w)
	if r != nil {
		w.split(h, b, r.Root())
	}
	if len(w.entries) > maxPositions {
		return dst, ErrTooLarge
	}
	if err := c.newHead(w, k); err != nil {
		return dst, fmt.Errorf("sealing record: %w", err)
	}
	if err := c.sealClasses(w, k, h); err != nil {
		return dst, fmt.Errorf("sealing record: %w", err)
	}
	return c.sealHead(dst, w, k, h)
}

// sealClasses seals each present class into w.out and notes it in the outline.
func (c *Cipher) sealClasses(w *work, k Keys, h *Head) error {
	var slots [numClasses]uint32
	h.Present, h.Modifiers = 0, w.modifiers
	for i := range w.entries {
		slots[w.entries[i].class]++
		h.Present |= Set(w.entries[i].class)
	}
	for class := Identifier; class < numClasses; class++ {
		if slots[class] == 0 {
			continue
		}
		start := len(w.out)
		if err := c.sealClass(w, k, class); err != nil {
			return err
		}
		g := &w.groups[w.count]
		*g = groupInfo{class: class, slots: slots[class], length: uint32(len(w.out) - start)}
		g.commit = w.commit
		w.count++
	}
	w.positions, w.outline.fixed = w.order, w.plan.fixed
	return nil
}

// sealClass seals map and payloads of a class as one, and what stands alone
// for itself.
func (c *Cipher) sealClass(w *work, k Keys, class Class) error {
	a, err := c.group(w, k, class)
	if err != nil {
		return err
	}
	w.gather(class)
	w.plain = pad(append(w.appendMap(w.plain[:0], class), w.body...), 0, 0)
	w.bindSlot(0, labelMap)
	out := c.sealSlot(w.out, w, a, class, 0, 0)
	slot := uint32(0)
	for i := range w.entries {
		e := &w.entries[i]
		if e.class != class {
			continue
		}
		if slot++; !e.alone {
			continue
		}
		w.bindSlot(slot, "")
		w.aad = w.appendPath(w.aad, e)
		w.plain = pad(e.appendPayload(w.plain[:0]), 0, ' ')
		out = c.sealSlot(out, w, a, class, slot, 0)
	}
	w.out = out
	return nil
}

// gather collects the payloads of a class that do not stand alone, and notes
// their lengths.
func (w *work) gather(class Class) {
	w.body = w.body[:0]
	for i := range w.entries {
		if e := &w.entries[i]; e.class == class && !e.alone {
			before := len(w.body)
			w.body = e.appendPayload(w.body)
			e.data[1] = uint32(len(w.body) - before)
		}
	}
	w.fullest = max(w.fullest, len(w.body))
}

func (e *entry) appendPayload(dst []byte) []byte {
	if e.from != none {
		dst, _ = e.from.appendDerived(dst, e.node)
		return dst
	}
	return e.node.AppendJSON(dst)
}

// sealHead appends format byte, group 0 and the class groups.
func (c *Cipher) sealHead(dst []byte, w *work, k Keys, h *Head) ([]byte, error) {
	w.plain = pad(appendHead(w.plain[:0], h, &w.outline), 0, 0)
	dst = slices.Grow(dst, 1+headerBytes+binary.MaxVarintLen32+len(w.plain)+maxOverhead+len(w.out))
	a, err := c.group(w, k, Group0)
	if err != nil {
		return dst, fmt.Errorf("sealing head: %w", err)
	}
	out := append(append(append(dst, formatVersion), w.head[:]...), w.commit[:]...)
	w.bindSlot(0, headLabels[formatVersion])
	out = c.sealSlot(out, w, a, Group0, 0, 0)
	return append(out, w.out...), nil
}
