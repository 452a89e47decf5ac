// Package merkle computes RFC 6962 Merkle tree hashes over audit records: leaf
// and node hashes, an incremental compact range for the root of a growing log,
// and inclusion proofs.
//
// Start with Range (append leaves, ask for the root) and Tree (prove that one
// leaf is in the tree of a given size). The package holds no state beyond these
// values, reads no files and knows no audit format.
//
// Security: leaf and node hashes are domain separated (0x00, 0x01), so a node
// cannot be passed off as a leaf. Hashes are those of RFC 6962 §2.1 and stay so:
// any Certificate Transparency verifier can check the proofs.
package merkle

import (
	"crypto/sha256"
	"errors"
	"math/bits"
)

// Size is the length of a hash in bytes.
const Size = sha256.Size

// Hash is a SHA-256 leaf, node or root hash.
type Hash = [Size]byte

// ErrProof means that an inclusion proof does not lead to the root.
var ErrProof = errors.New("merkle proof does not match the root")

// ErrRange means that a leaf index or tree size is out of range.
var ErrRange = errors.New("merkle index is outside the tree")

// Leaf hashes one record, RFC 6962 §2.1: SHA-256(0x00 || data). Records up to
// 127 bytes are hashed without an allocation.
func Leaf(data []byte) Hash {
	var buf [128]byte
	if len(data) < len(buf) {
		n := copy(buf[1:], data)
		return sha256.Sum256(buf[:n+1])
	}
	h := sha256.New()
	h.Write(buf[:1])
	h.Write(data)
	var out Hash
	h.Sum(out[:0])
	return out
}

// Node hashes two children, RFC 6962 §2.1: SHA-256(0x01 || left || right).
func Node(left, right *Hash) Hash {
	var buf [1 + 2*Size]byte
	buf[0] = 1
	copy(buf[1:], left[:])
	copy(buf[1+Size:], right[:])
	return sha256.Sum256(buf[:])
}

// Empty is the root of the empty tree: SHA-256 of nothing.
func Empty() Hash { return sha256.Sum256(nil) }

// Range is the compact form of a tree: the roots of its perfect subtrees, the
// largest first. The zero Range is the empty tree. It is not safe for
// concurrent use.
type Range struct {
	size  uint64
	roots []Hash
}

// Len is the number of leaves.
func (r *Range) Len() uint64 { return r.size }

// Append adds one leaf hash.
func (r *Range) Append(leaf Hash) { r.push(leaf, 0) }

// AppendSubtree adds the root of a perfect subtree of 2^level leaves. The
// current size must be a multiple of 2^level, else ErrRange.
func (r *Range) AppendSubtree(root Hash, level uint) error {
	if level > 62 || r.size&(1<<level-1) != 0 {
		return ErrRange
	}
	r.push(root, level)
	return nil
}

func (r *Range) push(h Hash, level uint) {
	for n := r.size >> level; n&1 == 1; n >>= 1 {
		last := len(r.roots) - 1
		h = Node(&r.roots[last], &h)
		r.roots = r.roots[:last]
	}
	r.roots = append(r.roots, h)
	r.size += 1 << level
}

// Root is the tree hash of all leaves so far.
func (r *Range) Root() Hash {
	if len(r.roots) == 0 {
		return Empty()
	}
	h := r.roots[len(r.roots)-1]
	for i := len(r.roots) - 2; i >= 0; i-- {
		h = Node(&r.roots[i], &h)
	}
	return h
}

// Clone returns an independent copy.
func (r *Range) Clone() Range {
	return Range{size: r.size, roots: append([]Hash(nil), r.roots...)}
}

// RootOf is the tree hash of the given leaf hashes.
func RootOf(leaves []Hash) Hash {
	var r Range
	for i := range leaves {
		r.Append(leaves[i])
	}
	return r.Root()
}

// split is the largest power of two smaller than n, for n ≥ 2 (RFC 6962 §2.1).
func split(n uint64) uint64 { return 1 << (bits.Len64(n-1) - 1) }
