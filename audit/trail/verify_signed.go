package trail

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/note"

	"github.com/fieldseal/fieldseal/audit/merkle"
)

// begin reads the public key, the checkpoints and the witness, in this order
// and before the events: a running server may add events meanwhile, never take
// some away.
func (v *verifier) begin() error {
	o, err := readOrigin(v.opt.Dir)
	if err != nil {
		return err
	}
	if err := v.identify(o); err != nil {
		return err
	}
	if err := v.readCheckpoints(); err != nil {
		return err
	}
	w, err := readWitnesses(v.opt.Witness)
	if err != nil {
		return err
	}
	v.readWitness(w.of(o.Name))
	return nil
}

// identify takes the public key of a chain and compares it with the one given.
func (v *verifier) identify(o origin) (err error) {
	v.origin = o
	v.rep.Origin, v.rep.PublicKey = o.Name, o.PublicKey
	if v.opt.PublicKey != nil {
		given, err := note.NewEd25519VerifierKey(o.Name, v.opt.PublicKey)
		if err != nil {
			return fmt.Errorf("reading the public key: %w", err)
		}
		if given != o.PublicKey {
			v.rep.add(Problem{Finding: ForeignKey, File: originName, Detail: "the key beside the events is not the one given"})
		}
		v.rep.PublicKey = given
	}
	if v.key, err = note.NewVerifier(v.rep.PublicKey); err != nil {
		return fmt.Errorf("%w: public key in %s", ErrCorrupt, originName)
	}
	return nil
}

func (v *verifier) readCheckpoints() error {
	b, err := readIfAny(filepath.Join(v.opt.Dir, checkpointsName))
	if err != nil {
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

// witnesses are witness files by the chain that they name; one that does not
// parse has no name.
type witnesses map[string][]byte

// readWitnesses reads a witness file, or all of a folder.
func readWitnesses(path string) (witnesses, error) {
	out := witnesses{}
	if path == "" {
		return out, nil
	}
	paths := []string{path}
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		entries, err := os.ReadDir(path)
		if err != nil {
			return nil, fmt.Errorf("reading the witnesses: %w", err)
		}
		paths = nil
		for _, e := range entries {
			if e.Type().IsRegular() {
				paths = append(paths, filepath.Join(path, e.Name()))
			}
		}
	}
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			return nil, fmt.Errorf("reading the witness: %w", err)
		}
		o, _, _, _ := parseWitness(b)
		out[o.Name] = b
	}
	return out, nil
}

// of is the witness of a chain; a damaged or foreign one, when it is the only
// one, is better than none.
func (w witnesses) of(origin string) []byte {
	if b, ok := w[origin]; ok || len(w) != 1 {
		return b
	}
	for _, b := range w {
		return b
	}
	return nil
}

func (v *verifier) readWitness(b []byte) {
	if b == nil {
		v.rep.Notes = append(v.rep.Notes, "no witness given: a truncated tail or a replaced trail cannot be told")
		return
	}
	org, notes, rest, err := parseWitness(b)
	if err != nil {
		v.rep.add(Problem{Finding: DamagedFile, File: "witness", Detail: "the witness file does not parse"})
		return
	}
	if org != v.origin {
		v.rep.add(Problem{Finding: ForeignKey, File: "witness", Detail: "the witness knows the trail with another key or origin"})
	}
	if len(rest) > 0 {
		v.rep.Notes = append(v.rep.Notes, "the last checkpoint of the witness is unfinished")
	}
	v.wit = v.notes(notes, "witness")
	v.compare()
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
			v.rep.add(Problem{Finding: Fork, File: "witness", Seq: c.size, Detail: "trail and witness hold different signed histories of one size"})
		}
	}
}
