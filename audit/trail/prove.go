package trail

import (
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/note"

	"github.com/fieldseal/fieldseal/audit/merkle"
)

// Proof shows, without any key but the public one, that one event stands in the
// tree of a signed checkpoint.
type Proof struct {
	Seq        uint64        // the event
	Leaf       []byte        // its header, the data of the Merkle leaf
	Path       []merkle.Hash // inclusion proof, RFC 6962 §2.1.1
	Checkpoint []byte        // signed note that holds the root
}

// Verify checks the proof with the trail's public key, a note verifier key.
func (p Proof) Verify(publicKey string) error {
	v, err := note.NewVerifier(publicKey)
	if err != nil {
		return fmt.Errorf("reading the public key: %w", err)
	}
	c, err := openCheckpoint(p.Checkpoint, v)
	if err != nil {
		return err
	}
	if len(p.Leaf) != headerSize || parseHeader(p.Leaf).seq != p.Seq || p.Seq == 0 {
		return fmt.Errorf("%w: leaf is not that of event %d", ErrCorrupt, p.Seq)
	}
	return merkle.Verify(merkle.Leaf(p.Leaf), p.Seq-1, c.size, p.Path, c.root)
}

// Prove returns the inclusion proof of an event of any chain under the newest
// checkpoint. An event that no checkpoint covers yet is ErrNotFound.
func (t *Trail) Prove(ctx context.Context, origin string, seq uint64) (Proof, error) {
	signed, c, err := t.newestOf(ctx, origin)
	if err != nil {
		return Proof{}, err
	}
	if seq == 0 || seq > c.size {
		return Proof{}, ErrNotFound
	}
	f, err := t.frame(ctx, origin, seq)
	if err != nil {
		return Proof{}, err
	}
	tree, err := t.medium.tree(ctx, origin)
	if err != nil {
		return Proof{}, err
	}
	path, err := merkle.Proof(tree, seq-1, c.size)
	if err != nil {
		return Proof{}, fmt.Errorf("proving event %d: %w", seq, err)
	}
	return Proof{Seq: seq, Leaf: f.header.append(nil), Path: path, Checkpoint: signed}, nil
}

// newestOf is the newest checkpoint of a chain. Who gets the proof verifies it.
func (t *Trail) newestOf(ctx context.Context, origin string) ([]byte, checkpoint, error) {
	if origin == t.origin.Name {
		signed, c := t.check.newest()
		return signed, c, nil
	}
	signed, err := t.medium.checkpoint(ctx, origin)
	if err != nil || signed == nil {
		return nil, checkpoint{}, err
	}
	c, err := unverifiedCheckpoint(signed, origin)
	return signed, c, err
}

// treeSource answers subtree hashes from the roots of full segments and the
// leaf hashes in sidecars.
type treeSource struct {
	t     *files
	views []view
}

// Subtree hashes leaves [begin, end) (indexes from 0; leaf i is event i+1).
func (s treeSource) Subtree(begin, end uint64) (merkle.Hash, error) {
	var r merkle.Range
	n := s.t.origin.SegmentRecords
	for at := begin; at < end; {
		i := at / n
		if i >= uint64(len(s.views)) {
			return merkle.Hash{}, merkle.ErrRange
		}
		stop := min(end, (i+1)*n)
		if at == i*n && stop == at+n {
			root, err := s.root(s.views[i])
			if err == nil {
				err = r.AppendSubtree(root, s.t.origin.level())
			}
			if err != nil {
				return merkle.Hash{}, err
			}
		} else if err := s.leaves(&r, s.views[i], at-i*n, stop-i*n); err != nil {
			return merkle.Hash{}, err
		}
		at = stop
	}
	return r.Root(), nil
}

func (s treeSource) root(v view) (merkle.Hash, error) {
	if v.memory != nil {
		return merkle.RootOf(v.memory.leaves), nil
	}
	side, err := openSidecar(sidecarPath(v.path), v.first, s.t.origin.SegmentRecords)
	if err != nil {
		return merkle.Hash{}, err
	}
	defer side.file.Close()
	return side.root, nil
}

func (s treeSource) leaves(r *merkle.Range, v view, lo, hi uint64) error {
	rd, err := s.t.open(v)
	if err != nil {
		return err
	}
	defer rd.close()
	if hi > uint64(rd.count()) {
		return merkle.ErrRange
	}
	for i := lo; i < hi; i++ {
		_, _, leaf, err := rd.row(int(i))
		if err != nil {
			return err
		}
		r.Append(leaf)
	}
	return nil
}
