package merkle

import "fmt"

// Source gives the hash of the subtree of leaves [begin, end), where begin is
// a multiple of the subtree's width rounded up to a power of two. A log answers
// aligned perfect subtrees from what it keeps and computes the rest.
type Source interface {
	Subtree(begin, end uint64) (Hash, error)
}

// Leaves is a Source over leaf hashes in memory.
type Leaves []Hash

// Subtree returns the hash over leaves [begin, end), or ErrRange.
func (l Leaves) Subtree(begin, end uint64) (Hash, error) {
	if begin >= end || end > uint64(len(l)) {
		return Hash{}, ErrRange
	}
	return RootOf(l[begin:end]), nil
}

// Proof is the inclusion proof of RFC 6962 §2.1.1 for the leaf at index in the
// tree of the given size: sibling hashes from the leaf upwards.
func Proof(src Source, index, size uint64) ([]Hash, error) {
	if index >= size {
		return nil, ErrRange
	}
	var path []Hash
	for begin, end := uint64(0), size; end-begin > 1; {
		mid := begin + split(end-begin)
		lo, hi := mid, end
		if index < mid {
			end = mid
		} else {
			lo, hi = begin, mid
			begin = mid
		}
		h, err := src.Subtree(lo, hi)
		if err != nil {
			return nil, fmt.Errorf("hashing leaves %d to %d: %w", lo, hi, err)
		}
		path = append(path, h)
	}
	for i, j := 0, len(path)-1; i < j; i, j = i+1, j-1 {
		path[i], path[j] = path[j], path[i]
	}
	return path, nil
}

// Verify checks an inclusion proof against a root (RFC 9162 §2.1.3.2). It
// returns ErrProof when the leaf is not at that index of that tree.
func Verify(leaf Hash, index, size uint64, path []Hash, root Hash) error {
	if index >= size {
		return ErrRange
	}
	fn, sn, h := index, size-1, leaf
	for i := range path {
		if sn == 0 {
			return ErrProof
		}
		if fn&1 == 1 || fn == sn {
			h = Node(&path[i], &h)
			for fn&1 == 0 && fn != 0 {
				fn >>= 1
				sn >>= 1
			}
		} else {
			h = Node(&h, &path[i])
		}
		fn >>= 1
		sn >>= 1
	}
	if sn != 0 || h != root {
		return ErrProof
	}
	return nil
}
