package field

// emit appends the document made of the visible entries, which p.at lists by
// position. Containers exist only where something visible is in them, so
// hidden content leaves no empty parents behind.
func (p *plan) emit(dst []byte, h *Head, b Binding) []byte {
	dst = append(dst, '{')
	var prev []step
	for order, i := range p.at {
		if i == 0 {
			f := p.fixedAt(uint32(order))
			if f < 0 {
				continue
			}
			steps := p.t.fixedSteps[f][:]
			dst = p.move(dst, prev, steps)
			dst = appendFixed(dst, f, h, b)
			prev = steps
			continue
		}
		e := &p.entries[i-1]
		steps := p.arena[e.steps[0]:e.steps[1]]
		dst = p.move(dst, prev, steps)
		dst = append(dst, p.plain[e.data[0]:e.data[1]]...)
		prev = steps
	}
	for level := len(prev) - 1; level >= 0; level-- {
		dst = append(dst, closer(&prev[level]))
	}
	if len(prev) == 0 {
		dst = append(dst, '}')
	}
	return dst
}

// fixedAt returns the fixed member that group 0 restates at this position.
func (p *plan) fixedAt(order uint32) int {
	for f, v := range p.restate {
		if v == order+1 {
			return f
		}
	}
	return -1
}

// move closes what the previous slot left open and opens the way to the next.
func (p *plan) move(dst []byte, prev, steps []step) []byte {
	same := 0
	for same < len(prev)-1 && same < len(steps)-1 && prev[same].equal(&steps[same]) {
		same++
	}
	for level := len(prev) - 1; level > same; level-- {
		dst = append(dst, closer(&prev[level]))
	}
	next := uint32(0)
	if len(prev) > 0 {
		dst = append(dst, ',')
		next = prev[same].n + 1
	}
	for level := same; level < len(steps); level++ {
		s := &steps[level]
		if level > same {
			dst = append(dst, opener(s))
			next = 0
		}
		if !s.index {
			dst = append(append(dst, p.t.quoted(s)...), ':')
			continue
		}
		if level > 0 && p.isSibling(&steps[level-1]) {
			// Items of `_x` stay aligned with those of x.
			for ; next < s.n; next++ {
				dst = append(dst, "null,"...)
			}
		}
	}
	return dst
}

func (p *plan) isSibling(s *step) bool {
	return !s.index && s.raw != nil && len(s.raw) > 1 && s.raw[1] == '_'
}

func opener(s *step) byte {
	if s.index {
		return '['
	}
	return '{'
}

func closer(s *step) byte {
	if s.index {
		return ']'
	}
	return '}'
}
