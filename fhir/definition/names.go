package definition

// names finds a string in a fixed list: an open-addressed table of positions,
// built once, read without allocation.
type names struct {
	list  []string
	slots []uint16 // position + 1; 0 = free. Length is a power of two.
}

func newNames(list []string) names {
	size := 4
	for size < 2*len(list) {
		size *= 2
	}
	n := names{list: list, slots: make([]uint16, size)}
	for i, s := range list {
		h := hash(s) & uint32(size-1)
		for n.slots[h] != 0 {
			h = (h + 1) & uint32(size-1)
		}
		n.slots[h] = uint16(i + 1)
	}
	return n
}

// find returns the position of s, or -1.
func (n *names) find(s string) int {
	if len(n.slots) == 0 {
		return -1
	}
	mask := uint32(len(n.slots) - 1)
	for h := hash(s) & mask; ; h = (h + 1) & mask {
		i := n.slots[h]
		if i == 0 {
			return -1
		}
		if n.list[i-1] == s {
			return int(i - 1)
		}
	}
}

// hash is FNV-1a. A name much longer than any known one costs its length once;
// the table is fixed, so nobody can fill it with collisions.
func hash(s string) uint32 {
	h := uint32(2166136261)
	for i := 0; i < len(s); i++ {
		h = (h ^ uint32(s[i])) * 16777619
	}
	return h ^ h>>15
}
