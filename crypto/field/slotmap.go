package field

import "encoding/binary"

// Slot 0 of a class group is its slot map: for each slot its place in the
// document. docs/format/envelope.md gives the grammar.

const (
	entryPlain = 0
	entryExtra = 1

	extraNull    = 1
	extraDerived = 2
	extraAlone   = 4
)

// appendMap appends the entries of one class.
func (p *plan) appendMap(dst []byte, class Class) []byte {
	var prev []step
	var order uint32
	for i := range p.entries {
		e := &p.entries[i]
		if e.class != class {
			continue
		}
		dst = e.appendPlace(dst, e.order-order)
		order = e.order
		steps := p.arena[e.steps[0]:e.steps[1]]
		dst = appendSteps(dst, prev, steps)
		if !e.alone {
			dst = binary.AppendUvarint(dst, uint64(e.data[1]))
		}
		prev = steps
	}
	return dst
}

func (e *entry) appendPlace(dst []byte, delta uint32) []byte {
	var extra byte
	if e.null {
		extra |= extraNull
	}
	if e.from != none {
		extra |= extraDerived
	}
	if e.alone {
		extra |= extraAlone
	}
	if extra == 0 && e.needs == 0 {
		return binary.AppendUvarint(dst, uint64(delta)<<1|entryPlain)
	}
	dst = binary.AppendUvarint(dst, uint64(delta)<<1|entryExtra)
	return binary.BigEndian.AppendUint16(append(dst, extra), uint16(e.needs))
}

func appendSteps(dst []byte, prev, steps []step) []byte {
	same := 0
	for same < len(prev) && same < len(steps) && prev[same].equal(&steps[same]) {
		same++
	}
	if fresh := len(steps) - same; same < 15 && fresh < 15 {
		dst = append(dst, byte(same<<4|fresh))
	} else {
		dst = binary.AppendUvarint(append(dst, 0xff), uint64(same))
		dst = binary.AppendUvarint(dst, uint64(fresh))
	}
	for _, s := range steps[same:] {
		switch {
		case s.index:
			dst = binary.AppendUvarint(dst, uint64(s.n)<<1|1)
		case s.raw == nil:
			dst = binary.AppendUvarint(dst, uint64(s.n+1)<<1)
		default:
			dst = binary.AppendUvarint(append(dst, 0), uint64(len(s.raw)))
			dst = append(dst, s.raw...)
		}
	}
	return dst
}

// reader takes values off a buffer; after a fault it stays faulty.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	out := r.b[:n:n]
	r.b = r.b[n:]
	return out
}

// uvarint accepts the shortest encoding only, so that no byte can be changed
// without effect.
func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || n > 1 && r.b[n-1] == 0 {
		r.bad = true
		r.b = nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

// zero reports whether only padding is left.
func (r *reader) zero() bool {
	for _, c := range r.b {
		if c != 0 {
			return false
		}
	}
	return !r.bad
}

// readMap appends the slots of one class to the entries. With lengths, slots
// that do not stand alone give theirs, which is left in data[1]; without, all
// stand alone.
func (p *plan) readMap(r *reader, class Class, slots uint32, lengths bool) bool {
	var order uint64
	var prev [2]uint32
	for range slots {
		e := entry{class: class, alone: !lengths}
		v := r.uvarint()
		order += v >> 1
		if order > uint64(p.order) {
			return false
		}
		e.order = uint32(order)
		if v&1 == entryExtra {
			extra, needs := r.byte(), r.take(2)
			if r.bad {
				return false
			}
			e.null, e.needs = extra&extraNull != 0, ClassSet(binary.BigEndian.Uint16(needs))
			e.alone = e.alone || extra&extraAlone != 0
			if extra&extraDerived != 0 {
				e.from = same
			}
		}
		if !p.readSteps(r, &e, prev) {
			return false
		}
		if !e.alone {
			e.data[1] = uint32(min(r.uvarint(), uint64(len(r.b))+1))
		}
		prev = e.steps
		p.entries = append(p.entries, e)
	}
	return !r.bad
}

func (p *plan) readSteps(r *reader, e *entry, prev [2]uint32) bool {
	head := r.byte()
	same, fresh := uint64(head>>4), uint64(head&15)
	if head == 0xff {
		same, fresh = r.uvarint(), r.uvarint()
	}
	if r.bad || same > uint64(prev[1]-prev[0]) || fresh == 0 || fresh > uint64(len(r.b)) {
		return false
	}
	e.steps[0] = uint32(len(p.arena))
	p.arena = append(p.arena, p.arena[prev[0]:prev[0]+uint32(same)]...)
	for range fresh {
		v := r.uvarint()
		switch {
		case v&1 == 1:
			p.arena = append(p.arena, step{index: true, n: uint32(v >> 1)})
		case v == 0:
			p.arena = append(p.arena, step{raw: r.take(r.uvarint())})
		case v>>1 <= uint64(len(p.t.names.quoted)):
			p.arena = append(p.arena, step{n: uint32(v>>1) - 1})
		default:
			return false
		}
	}
	e.steps[1] = uint32(len(p.arena))
	return !r.bad
}

// appendPath appends the unambiguous form of an element path that is bound
// into a slot's associated data.
func (p *plan) appendPath(dst []byte, e *entry) []byte {
	for _, s := range p.arena[e.steps[0]:e.steps[1]] {
		if s.index {
			dst = binary.AppendUvarint(append(dst, 0), uint64(s.n))
			continue
		}
		q := p.t.quoted(&s)
		dst = append(binary.AppendUvarint(dst, uint64(len(q))), q...)
	}
	return dst
}

func (t *Table) quoted(s *step) []byte {
	if s.raw != nil {
		return s.raw
	}
	return t.names.quoted[s.n]
}
