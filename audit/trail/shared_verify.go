package trail

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fieldseal/fieldseal/audit/merkle"
	"github.com/fieldseal/fieldseal/repository"
)

// VerifyLog verifies every chain in the log of a database, as Verify does with a
// folder: without decryption keys, reading only, also beside running nodes. A
// chain that only a witness knows is reported as well.
func VerifyLog(ctx context.Context, log Log, opt VerifyOptions) ([]Report, error) {
	w, err := readWitnesses(opt.Witness)
	if err != nil {
		return nil, err
	}
	names, err := Origins(ctx, log)
	if err != nil {
		return nil, err
	}
	var out []Report
	for _, name := range names {
		v := newVerifier(opt)
		if err := v.log(ctx, log, name, w[name]); err != nil {
			return out, err
		}
		out = append(out, v.rep)
		delete(w, name)
	}
	for _, name := range slices.Sorted(maps.Keys(w)) {
		v := newVerifier(opt)
		v.rep.Origin = name
		v.rep.add(Problem{Finding: TruncatedTail, File: "witness", Detail: "the witness knows a chain that is not here, or does not parse"})
		out = append(out, v.rep)
	}
	return out, nil
}

// Origins returns the names of the chains in a log, in order. It finds those
// that have events but no entry of their own too.
func Origins(ctx context.Context, log Log) ([]string, error) {
	names := map[string]bool{}
	for _, kind := range []string{kindOrigin, kindFrame} {
		for from := kind; ; {
			got, err := log.Range(ctx, from, kind[:1]+"0", 1)
			if err != nil {
				return nil, fmt.Errorf("reading the audit log: %w", err)
			}
			if len(got) == 0 {
				break
			}
			name, _, _ := strings.Cut(strings.TrimPrefix(got[0].ID, kind), "/")
			names[name] = true
			from = max(entryEnd(kind, name), got[0].ID+"\x00")
		}
	}
	return slices.Sorted(maps.Keys(names)), nil
}

// log verifies one chain: signed notes first, then every frame in the order of
// the entries.
func (v *verifier) log(ctx context.Context, log Log, name string, witness []byte) error {
	v.rep.Origin = name
	o, err := readLogOrigin(ctx, log, name)
	if errors.Is(err, ErrCorrupt) || errors.Is(err, repository.ErrNotFound) {
		v.rep.add(Problem{Finding: DamagedFile, File: kindOrigin + name, Detail: "the entry that names the chain and its key is missing or does not parse"})
		return nil
	}
	if err == nil {
		err = v.identify(o)
	}
	if err != nil {
		return err
	}
	if err := v.logNotes(ctx, log); err != nil {
		return err
	}
	v.readWitness(witness)
	v.check(0)
	roots, err := v.logFrames(ctx, log)
	if err != nil {
		return err
	}
	if err := v.logRoots(ctx, log, roots); err != nil {
		return err
	}
	v.rep.Segments = len(roots) + 1
	v.end()
	return nil
}

func (v *verifier) logNotes(ctx context.Context, log Log) error {
	var notes [][]byte
	for e, err := range entriesOf(ctx, log, kindCheckpoint, v.origin.Name, 0) {
		if err != nil {
			return err
		}
		notes = append(notes, e.Body)
		_, size, ok := parseID(kindCheckpoint, e.ID)
		if c, cerr := openCheckpoint(e.Body, v.key); cerr == nil && (!ok || c.size != size) {
			v.rep.add(Problem{Finding: Fork, File: e.ID, Seq: c.size, Detail: "a checkpoint lies under the name of another size"})
		}
	}
	v.own = v.notes(notes, kindCheckpoint+v.origin.Name)
	v.rep.Checkpoints = len(v.own)
	return nil
}

// logFrames checks every event and returns the roots of full segments.
func (v *verifier) logFrames(ctx context.Context, log Log) (roots []merkle.Hash, err error) {
	var segment merkle.Range
	for e, err := range entriesBetween(ctx, log, kindFrame+v.origin.Name+"/", entryEnd(kindFrame, v.origin.Name), logPage) {
		if err != nil {
			return nil, err
		}
		if f, ok := v.logFrame(&e); ok {
			segment.Append(f.leaf)
		}
		if segment.Len() == v.origin.SegmentRecords {
			roots, segment = append(roots, segment.Root()), merkle.Range{}
		}
		if v.rep.Events%4096 == 0 && v.opt.Progress != nil {
			v.opt.Progress(v.rep.Events)
		}
	}
	return roots, nil
}

// logFrame checks one entry: its name, its frame, and what search finds it by.
func (v *verifier) logFrame(e *repository.LogEntry) (f frame, ok bool) {
	p := Problem{File: e.ID}
	_, seq, named := parseID(kindFrame, e.ID)
	f, whole := parseFrame(e.Body)
	switch {
	case !named:
		p.Finding, p.Detail = Insertion, "the entry has no name of an event"
	case !whole || len(f.raw) != len(e.Body):
		p.Finding, p.Seq, p.Detail = FlippedByte, seq, "a record that was durable is damaged"
		v.lost = true
	default:
		v.record(&f, e.ID, 0)
		v.logIndex(e, &f, seq)
		return f, true
	}
	v.rep.add(p)
	return f, false
}

func (v *verifier) logIndex(e *repository.LogEntry, f *frame, seq uint64) {
	want, err := frameEntry(v.origin.Name, f)
	switch {
	case err != nil:
		v.rep.add(Problem{Finding: FlippedByte, File: e.ID, Seq: f.seq, Detail: "a record does not parse"})
		return
	case f.seq != seq:
		v.rep.add(Problem{Finding: Reordering, File: e.ID, Seq: f.seq, Detail: "the event lies under the name of another"})
	}
	slices.Sort(want.Terms)
	slices.Sort(e.Terms)
	if e.Time != want.Time || !slices.Equal(slices.Compact(e.Terms), slices.Compact(want.Terms)) {
		v.rep.add(Problem{Finding: MismatchedIndex, File: e.ID, Seq: f.seq, Detail: "time or terms are not those of the record; search could hide events"})
	}
}

// logRoots compares the kept roots of segments; a missing one is made again by
// the node.
func (v *verifier) logRoots(ctx context.Context, log Log, roots []merkle.Hash) error {
	for e, err := range entriesOf(ctx, log, kindRoot, v.origin.Name, 0) {
		if err != nil {
			return err
		}
		_, first, ok := parseID(kindRoot, e.ID)
		i := first / v.origin.SegmentRecords
		if ok && i >= uint64(len(roots)) && !v.lost && len(v.rep.Problems) == 0 { // a node runs: its segment was filled meanwhile
			continue
		}
		if !ok || first%v.origin.SegmentRecords != 1 || i >= uint64(len(roots)) || string(e.Body) != string(roots[i][:]) {
			v.rep.add(Problem{Finding: MismatchedIndex, File: e.ID, Seq: first, Detail: "the kept root is not that of its segment"})
		}
	}
	return nil
}
