package field

import (
	"bytes"
	"crypto/cipher"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"

	"github.com/fieldseal/fieldseal/fhir"
)

// OpenHead opens group 0 only. It finds a dropped or cut class group without
// opening any; an exchanged one is found when it is opened. The head is what the other opening
// methods start from, so that group 0 is opened once.
func (c *Cipher) OpenHead(b Binding, k Keys, body []byte) (Head, error) {
	w, err := c.begin(&b)
	if err != nil {
		return Head{}, err
	}
	defer c.end(w)
	return c.openHead(w, k, &b, body)
}

// Open returns the resource as a caller who sees the given classes may have
// it; h is what OpenHead returned for the same body. Hidden classes are not
// derived and not opened; where limited is visible and the source is not, the
// limited stand-in takes its place. resourceType, id and meta (versionId,
// lastUpdated) are always there. A tombstone has a nil resource.
func (c *Cipher) Open(b Binding, k Keys, h *Head, body []byte, visible ClassSet) (*fhir.Resource, error) {
	doc, err := c.AppendVisible(make([]byte, 0, len(body)), b, k, h, body, visible)
	if err != nil || h.Deleted {
		return nil, err
	}
	return ParseOpened(doc)
}

// ParseOpened reads what AppendVisible made. The resource keeps doc.
func ParseOpened(doc []byte) (*fhir.Resource, error) {
	r, err := fhir.Parse(doc, openLimits)
	if err != nil {
		return nil, fmt.Errorf("%w: opened bytes are no resource", ErrCorrupt)
	}
	return r, nil
}

// openLimits are above every limit that is applied on the way in.
var openLimits = fhir.Limits{MaxBytes: 1 << 30, MaxDepth: 10_000}

// AppendOpen appends the resource with all its classes as JSON, byte for byte
// as it was sealed.
func (c *Cipher) AppendOpen(dst []byte, b Binding, k Keys, h *Head, body []byte) ([]byte, error) {
	return c.AppendVisible(dst, b, k, h, body, AllClasses)
}

// AppendVisible appends what Open returns, as JSON.
func (c *Cipher) AppendVisible(dst []byte, b Binding, k Keys, h *Head, body []byte, visible ClassSet) ([]byte, error) {
	w, err := c.begin(&b)
	if err != nil {
		return dst, err
	}
	defer c.end(w)
	if !w.locate(&h.outline, body) {
		return dst, ErrCorrupt
	}
	w.recall(&h.outline, &b)
	if h.Deleted {
		return dst, nil
	}
	for i := range h.outline.groups[:h.outline.count] {
		g := &h.outline.groups[i]
		if !visible.Has(g.class) {
			continue
		}
		if err := c.openClass(w, k, g, visible); err != nil {
			return dst, fmt.Errorf("opening class %s: %w", g.class, err)
		}
	}
	if !w.arrange(visible, h.Present) {
		return dst, ErrCorrupt
	}
	return w.emit(dst, h, b), nil
}

// openHead opens group 0 and finds every group that it names.
func (c *Cipher) openHead(w *work, k Keys, b *Binding, body []byte) (Head, error) {
	r := reader{b: body}
	if w.form = r.byte(); w.form < formatHeaders || w.form > formatVersion {
		return Head{}, ErrFormat
	}
	a, err := c.openGroup(w, k, Group0, &r)
	if err != nil {
		return Head{}, fmt.Errorf("opening head: %w", err)
	}
	w.bindSlot(0, headLabels[w.form])
	from, err := c.openSlot(w, a, Group0, 0, &r)
	if err != nil {
		return Head{}, fmt.Errorf("opening head: %w", err)
	}
	h, ok := readHead(w.plain[from:])
	h.outline.start = uint32(len(body) - len(r.b))
	h.outline.bound, h.outline.header, h.outline.place = *b, w.head, [sha256.Size]byte(w.place[:])
	if !ok || !w.locate(&h.outline, body) {
		return Head{}, ErrCorrupt
	}
	return h, nil
}

// recall takes the place of the record from the head when that was opened
// under the same binding and header, and computes it otherwise.
func (w *work) recall(o *outline, b *Binding) {
	if *b == o.bound && bytes.Equal(w.head[:], o.header[:]) {
		copy(w.place[:], o.place[:])
		return
	}
	w.bindHeader()
}

// locate finds the groups of a body by the lengths in the outline, and reads
// the record's header. A body of another record is found here or when one of
// its groups is opened.
func (w *work) locate(o *outline, body []byte) bool {
	if o.start < 1+headerBytes || int(o.start) > len(body) {
		return false // not from OpenHead
	}
	w.form = body[0]
	copy(w.head[:], body[1:])
	w.order, w.plan.fixed = o.positions, o.fixed
	r := reader{b: body[o.start:]}
	for i := range o.groups[:o.count] {
		g := &o.groups[i]
		group := r.take(uint64(g.length))
		if w.form == formatHeaders && !g.heads(group) {
			return false
		}
		w.group[g.class] = group
	}
	return !r.bad && len(r.b) == 0 && Suite(w.head[0]).of(w.form)
}

// heads reports whether a group of formatHeaders has the header that group 0
// knows.
func (g *groupInfo) heads(group []byte) bool {
	return len(group) >= headerBytes && Class(group[1]) == g.class &&
		subtle.ConstantTimeCompare(group[headerBound:headerBytes], g.commit[:]) == 1
}

// enter returns the AEAD of a visible class and a reader at its slot 0.
func (c *Cipher) enter(w *work, k Keys, g *groupInfo) (cipher.AEAD, reader, error) {
	r := reader{b: w.group[g.class]}
	if w.form == formatHeaders {
		a, err := c.openGroup(w, k, g.class, &r)
		return a, r, err
	}
	a, err := c.committed(w, k, g.class, g.commit[:])
	return a, r, err
}

// openClass opens one visible class: one ciphertext for its map and the slots
// that who sees the class sees too, and one for each of the others. A slot that
// needs a hidden class too is passed over unopened; a stand-in that is not
// needed is opened all the same, so that changing it is found.
func (c *Cipher) openClass(w *work, k Keys, g *groupInfo, visible ClassSet) error {
	a, r, err := c.enter(w, k, g)
	if err != nil {
		return err
	}
	if w.form == formatVersion {
		err = c.openChunks(w, a, g, visible, &r)
	} else {
		err = c.openFormer(w, a, g, visible, &r)
	}
	if err == nil && (r.bad || len(r.b) > 0) {
		err = ErrCorrupt
	}
	return err
}

func (c *Cipher) openChunks(w *work, a cipher.AEAD, g *groupInfo, visible ClassSet, r *reader) error {
	w.bindSlot(0, labelMap)
	from, err := c.openSlot(w, a, g.class, 0, r)
	if err != nil {
		return err
	}
	m := reader{b: w.plain[from:]}
	if !w.readMap(&m, g.class, g.slots, true) {
		return ErrCorrupt
	}
	at := uint32(len(w.plain) - len(m.b))
	entries := w.entries[len(w.entries)-int(g.slots):]
	for i := range entries {
		if e := &entries[i]; !e.alone {
			m.take(uint64(e.data[1]))
			e.data = [2]uint32{at, at + e.data[1]}
			at = e.data[1]
		}
	}
	if !m.zero() {
		return ErrCorrupt
	}
	for i := range entries {
		e := &entries[i]
		if !e.alone {
			continue
		}
		if !e.shown(visible) {
			r.take(r.uvarint())
		} else if err := c.openAlone(w, a, e, uint32(i+1), r); err != nil {
			return err
		}
	}
	return nil
}

// openAlone opens a slot that is a ciphertext of its own.
func (c *Cipher) openAlone(w *work, a cipher.AEAD, e *entry, slot uint32, r *reader) error {
	w.bindSlot(slot, "")
	w.aad = w.appendPath(w.aad, e)
	from, err := c.openSlot(w, a, e.class, slot, r)
	if err != nil {
		return err
	}
	e.data = [2]uint32{uint32(from), uint32(from + len(trimSpaces(w.plain[from:])))}
	return nil
}

// shown: a stand-in only while its source is hidden, and inside of a contained
// resource to who sees that there is one; everything else only with the classes
// it needs.
func (e *entry) shown(visible ClassSet) bool {
	if e.from != none {
		return !visible.Contains(e.needs) && (e.steps[1]-e.steps[0] == 1 || visible.Has(Administrative))
	}
	return visible.Contains(e.needs)
}

// arrange puts the visible entries at their places in the document and finds
// what group 0 must restate.
func (p *plan) arrange(visible, present ClassSet) bool {
	masked := !visible.Contains(present)
	n := int(p.order) + fixedMembers
	if cap(p.at) < n {
		p.at = make([]uint32, n)
	}
	p.at = p.at[:n]
	clear(p.at)
	for i := range p.entries {
		e := &p.entries[i]
		if !e.shown(visible) || masked && e.null {
			continue
		}
		if int(e.order) >= len(p.at) || p.at[e.order] != 0 {
			return false
		}
		p.at[e.order] = uint32(i + 1)
	}
	for f, v := range p.fixed {
		switch {
		case v == 0 && !visible.Has(Administrative):
			p.restate[f] = p.order + uint32(f) + 1
		case v&1 == 0 || !visible.Has(Administrative):
			p.restate[f] = v >> 1
		}
	}
	return true
}
