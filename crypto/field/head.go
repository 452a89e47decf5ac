package field

import (
	"crypto/sha256"
	"encoding/binary"
)

// groupInfo is what group 0 keeps of a class group, so that a dropped,
// exchanged or cut group is found even when it is not opened.
type groupInfo struct {
	class  Class
	slots  uint32 // element slots, the map not counted
	length uint32 // bytes of the group
	commit [commitBytes]byte
}

// outline is the part of group 0 that concerns the envelope.
type outline struct {
	start     uint32 // where the class groups begin in an opened body; 0 elsewhere
	groups    [numClasses]groupInfo
	count     int
	positions uint32 // how many places the document has
	fixed     [fixedMembers]uint32

	// What the head was opened under, and what was computed of it.
	bound  Binding
	header [headerBound]byte
	place  [sha256.Size]byte
}

const (
	headDeleted = 1 << iota
	headOwnPatient
	headUpsert
)

func appendBytes(dst []byte, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

// appendHead encodes group 0.
func appendHead(dst []byte, h *Head, o *outline) []byte {
	patients, flags := h.Patients, byte(0)
	if h.Deleted {
		flags |= headDeleted
	}
	if h.Upsert {
		flags |= headUpsert
	}
	if len(patients) > 0 && patients[0] == h.Owner {
		flags |= headOwnPatient
		patients = patients[1:]
	}
	dst = appendBytes(append(dst, flags), []byte(h.ID))
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.Updated))
	dst = append(dst, h.Owner[:]...)
	for _, ids := range [...][]StorageID{patients, h.Orgs} {
		dst = binary.AppendUvarint(dst, uint64(len(ids)))
		for i := range ids {
			dst = append(dst, ids[i][:]...)
		}
	}
	dst = binary.AppendUvarint(dst, uint64(len(h.PatientIDs)))
	for _, id := range h.PatientIDs {
		dst = appendBytes(dst, []byte(id))
	}
	dst = binary.AppendUvarint(dst, uint64(len(h.Security)))
	for _, l := range h.Security {
		dst = appendBytes(appendBytes(dst, []byte(l.System)), []byte(l.Code))
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(h.Modifiers))
	dst = binary.AppendUvarint(dst, uint64(o.positions))
	for _, f := range o.fixed {
		dst = binary.AppendUvarint(dst, uint64(f))
	}
	dst = append(dst, byte(o.count))
	for i := range o.groups[:o.count] {
		g := &o.groups[i]
		dst = binary.AppendUvarint(append(dst, byte(g.class)), uint64(g.slots))
		dst = append(binary.AppendUvarint(dst, uint64(g.length)), g.commit[:]...)
	}
	return dst
}

// readHead decodes group 0 strictly.
func readHead(b []byte) (h Head, ok bool) {
	r := reader{b: b}
	flags := r.byte()
	h.Deleted, h.Upsert = flags&headDeleted != 0, flags&headUpsert != 0
	h.ID = string(r.take(r.uvarint()))
	if u := r.take(8); !r.bad {
		h.Updated = int64(binary.BigEndian.Uint64(u))
	}
	copy(h.Owner[:], r.take(16))
	if flags&headOwnPatient != 0 {
		h.Patients = append(make([]StorageID, 0, 1), h.Owner)
	}
	h.Patients = r.ids(h.Patients)
	h.Orgs = r.ids(nil)
	for n := r.uvarint(); n > 0 && !r.bad; n-- {
		h.PatientIDs = append(h.PatientIDs, string(r.take(r.uvarint())))
	}
	for n := r.uvarint(); n > 0 && !r.bad; n-- {
		system := string(r.take(r.uvarint()))
		h.Security = append(h.Security, Label{System: system, Code: string(r.take(r.uvarint()))})
	}
	if m := r.take(2); !r.bad {
		h.Modifiers = ClassSet(binary.BigEndian.Uint16(m))
	}
	r.outline(&h.outline)
	for i := range h.outline.groups[:h.outline.count] {
		h.Present |= Set(h.outline.groups[i].class)
	}
	return h, !r.bad && flags < headUpsert<<1 && r.zero()
}

func (r *reader) ids(to []StorageID) []StorageID {
	for n := r.uvarint(); n > 0 && !r.bad; n-- {
		var id StorageID
		copy(id[:], r.take(16))
		to = append(to, id)
	}
	return to
}

func (r *reader) outline(o *outline) {
	o.positions = r.uint32()
	for i := range o.fixed {
		o.fixed[i] = r.uint32()
		r.bad = r.bad || o.fixed[i]>>1 > o.positions+1
	}
	if o.count = int(r.byte()); o.count >= int(numClasses) {
		o.count, r.bad = 0, true
	}
	last := Group0
	for i := range o.groups[:o.count] {
		g := &o.groups[i]
		g.class = Class(r.byte())
		g.slots, g.length = r.uint32(), r.uint32()
		copy(g.commit[:], r.take(commitBytes))
		r.bad = r.bad || g.class <= last || g.class >= numClasses
		last = g.class
	}
}

func (r *reader) uint32() uint32 {
	v := r.uvarint()
	if v > maxPositions {
		r.bad = true
		return 0
	}
	return uint32(v)
}
