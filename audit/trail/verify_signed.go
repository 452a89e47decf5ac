package trail

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/note"

	"github.com/fieldseal/fieldseal/audit/merkle"
)

// begin reads the public key, the checkpoints and the witness, in this order
// and before the segments: a running server may add events meanwhile, never
// take some away.
func (v *verifier) begin() error {
	var err error
	if v.origin, err = readOrigin(v.opt.Dir); err != nil {
		return err
	}
	v.rep.Origin, v.rep.PublicKey = v.origin.Name, v.origin.PublicKey
	if v.opt.PublicKey != nil {
		given, err := note.NewEd25519VerifierKey(v.origin.Name, v.opt.PublicKey)
		if err != nil {
			return fmt.Errorf("reading the public key: %w", err)
		}
		if given != v.origin.PublicKey {
			v.rep.add(Problem{Finding: ForeignKey, File: originName, Detail: "the key in the folder is not the one given"})
		}
		v.rep.PublicKey = given
	}
	if v.key, err = note.NewVerifier(v.rep.PublicKey); err != nil {
		return fmt.Errorf("%w: public key in %s", ErrCorrupt, originName)
	}
	if err := v.readCheckpoints(); err != nil {
		return err
	}
	return v.readWitness()
}

func (v *verifier) readCheckpoints() error {
	b, err := os.ReadFile(filepath.Join(v.opt.Dir, checkpointsName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading checkpoints: %w", err)
	}
	notes, rest := splitNotes(b)
	if len(rest) > 0 {
		v.rep.Notes = append(v.rep.Notes, "the last checkpoint in the folder is unfinished")
	}
	v.own = v.notes(notes, checkpointsName)
	v.rep.Checkpoints = len(v.own)
	return nil
}

func (v *verifier) readWitness() error {
	if v.opt.Witness == "" {
		v.rep.Notes = append(v.rep.Notes, "no witness given: a truncated tail or a replaced trail cannot be told")
		return nil
	}
	b, err := os.ReadFile(v.opt.Witness)
	if err != nil {
		return fmt.Errorf("reading the witness: %w", err)
	}
	org, notes, rest, err := parseWitness(b)
	if err != nil {
		v.rep.add(Problem{Finding: DamagedFile, File: "witness", Detail: "the witness file does not parse"})
		return nil
	}
	if org != v.origin {
		v.rep.add(Problem{Finding: ForeignKey, File: "witness", Detail: "the witness knows the trail with another key or origin"})
	}
	if len(rest) > 0 {
		v.rep.Notes = append(v.rep.Notes, "the last checkpoint of the witness is unfinished")
	}
	v.wit = v.notes(notes, "witness")
	v.compare()
	return nil
}

// notes verifies signatures and collects the roots to be met.
func (v *verifier) notes(notes [][]byte, file string) []checkpoint {
	var out []checkpoint
	off := int64(0)
	for _, signed := range notes {
		c, err := openCheckpoint(signed, v.key)
		if err != nil {
			v.rep.add(Problem{Finding: BadSignature, File: file, Offset: off, Detail: "a checkpoint does not verify"})
		} else {
			if n := len(out); n > 0 && (c.size < out[n-1].size || c.time.Before(out[n-1].time.Add(-clockStep))) {
				v.rep.add(Problem{Finding: Fork, File: file, Offset: off, Seq: c.size, Detail: "checkpoints do not grow"})
			}
			out = append(out, c)
			v.want[c.size] = append(v.want[c.size], expected{c.root, file})
		}
		off += int64(len(signed)) + 1
	}
	return out
}

// compare finds two signed histories of one size.
func (v *verifier) compare() {
	own := make(map[uint64]merkle.Hash, len(v.own))
	for _, c := range v.own {
		own[c.size] = c.root
	}
	for _, c := range v.wit {
		if root, ok := own[c.size]; ok && root != c.root {
			v.rep.add(Problem{Finding: Fork, File: "witness", Seq: c.size, Detail: "folder and witness hold different signed histories of one size"})
		}
	}
}
