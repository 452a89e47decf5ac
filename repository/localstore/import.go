package localstore

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fieldseal/fieldseal/repository"
)

// formatImporting stands in the place of the format while a folder is filled
// from another store. No release opens it.
const formatImporting = 1<<32 | format

// metaImport holds where an import stands: 1 when it has ended, the source's
// name with its length before it, and the place reached.
const metaImport = "import"

// Import is a folder that is being filled. It has the folder to itself.
type Import struct {
	s      *Store
	source []byte
	done   bool
	place  repository.Place
}

var _ repository.Importer = (*Import)(nil)

// OpenImport opens a folder to be filled from the named source: a new one, or
// one that an earlier OpenImport with the same source began to fill or has
// filled. Every other folder is repository.ErrNotEmpty. The name has at most
// 255 bytes.
func OpenImport(ctx context.Context, o Options, source []byte) (*Import, error) {
	if len(source) == 0 || len(source) > 255 {
		return nil, errors.New("localstore: an import needs the name of its source")
	}
	o.source = source
	s, err := Open(ctx, o)
	if err != nil {
		return nil, err
	}
	m := &Import{s: s}
	if m.done, m.source, m.place, err = s.importState(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return m, nil
}

// readImport is readFormat for a folder that is being filled, or that is to
// be. It reports whether the folder is new.
func (s *Store) readImport(found uint64) (fresh bool, err error) {
	if s.opts.source == nil {
		return false, fmt.Errorf("opening %s: %w", s.opts.Dir, repository.ErrUnfinished)
	}
	if found == 0 {
		empty, err := s.empty()
		if err == nil && !empty {
			err = fmt.Errorf("opening %s: %w", s.opts.Dir, repository.ErrNotEmpty)
		}
		return err == nil, err
	}
	_, source, _, err := s.importState()
	if err == nil && string(source) != string(s.opts.source) {
		err = fmt.Errorf("opening %s: %w", s.opts.Dir, repository.ErrNotEmpty)
	}
	return false, err
}

// claim makes a new folder this release's own.
func (s *Store) claim() error {
	batch := s.db.NewBatch()
	defer batch.Close()
	if s.opts.source == nil {
		return errors.Join(batch.Set(metaKey(metaFormat), metaValue(format), nil), batch.Commit(pebble.Sync))
	}
	return errors.Join(
		batch.Set(metaKey(metaFormat), metaValue(formatImporting), nil),
		batch.Set(metaKey(metaImport), appendImport(false, s.opts.source, ""), nil),
		batch.Commit(pebble.Sync))
}

func appendImport(done bool, source []byte, place repository.Place) []byte {
	b := []byte{0, byte(len(source))}
	if done {
		b[0] = 1
	}
	return append(append(b, source...), place...)
}

func (s *Store) importState() (done bool, source []byte, place repository.Place, err error) {
	value, closer, err := s.db.Get(metaKey(metaImport))
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil, "", nil
	}
	if err != nil {
		return false, nil, "", storeError("reading the state of an import", err)
	}
	defer closer.Close()
	if len(value) < 2 || len(value) < 2+int(value[1]) {
		return false, nil, "", fmt.Errorf("reading the state of an import: %w", repository.ErrCorrupt)
	}
	n := 2 + int(value[1])
	return value[0] == 1, append([]byte{}, value[2:n]...), repository.Place(value[n:]), nil
}

// Reached implements repository.Importer.
func (m *Import) Reached(context.Context) (repository.Place, bool, error) {
	return m.place, m.done, nil
}

// Import implements repository.Importer: entries and the place reached are one
// commit.
func (m *Import) Import(ctx context.Context, es []repository.Entry) (err error) {
	s := m.s
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave(&err)
	if m.done {
		return errors.New("importing: the import has ended")
	}
	if len(es) == 0 {
		return nil
	}
	size := 0
	for i := range es {
		size += es[i].Size()
	}
	if err := s.space.reserve(size); err != nil {
		return fmt.Errorf("importing: %w", err)
	}
	place := es[len(es)-1].Place()
	_, err = s.committer.submit(ctx, func() (pending, error) {
		tx := placing{transaction: s.begin(size), known: map[repository.Key]ordinal{}}
		for i := range es {
			if err := tx.place(&es[i]); err != nil {
				tx.batch.Close()
				return pending{}, err
			}
		}
		tx.keep(tx.batch.Set(metaKey(metaImport), appendImport(false, m.source, place), nil))
		return tx.apply()
	})
	if err != nil {
		return fmt.Errorf("importing: %w", err)
	}
	m.place = place
	return nil
}

// placing is a transaction that puts versions where they belong, without
// looking at what they replace.
type placing struct {
	*transaction
	known map[repository.Key]ordinal // keys that this transaction met first
}

func (tx *placing) place(e *repository.Entry) error {
	if e.Kind == repository.RowEntry {
		t := Table{prefix: append([]byte{kindTable, byte(len(e.Table))}, e.Table...)}
		k := t.rowKey(e.Row.Key)
		tx.keep(tx.batch.Set(k, appendRow(nil, k, e.Row.Revision, e.Row.Value), nil))
		return tx.err
	}
	rec := &e.Record
	code, err := tx.code(rec.Key.Type)
	if err != nil {
		return err
	}
	r := stored{version: rec.Version, updated: rec.Updated, seq: e.Position, id: rec.Key.ID, owner: rec.Owner, body: rec.Body}
	if rec.Deleted {
		r.flags = flagDeleted
	}
	if r.ordinal, err = tx.ordinalOf(code, rec.Key); err != nil {
		return err
	}
	if e.Kind == repository.HollowEntry {
		tx.setCurrent(code, &stored{version: 1}, &stored{flags: flagHollow, version: rec.Version, id: r.id, ordinal: r.ordinal})
		return tx.err
	}
	tx.seq = e.Position
	sc := &tx.s.scratch
	sc.other = appendOwnerKey(sc.other[:0], r.owner, code, r.ordinal)
	tx.entry(true)
	tx.feed(code, &r)
	if e.Past {
		tx.archive(code, &r)
		return tx.err
	}
	tx.setCurrent(code, &stored{version: 1}, &r)
	tx.index(code, r.ordinal, &forward{}, &forward{live: r.flags == 0, version: r.version, updated: r.updated,
		owner: r.owner, tokens: tx.encodeTokens(rec.Tokens)})
	return tx.err
}

// ordinalOf is the ordinal of a resource. One that is met first gets the next
// one and a hollow record, which its current version or hollow entry replaces:
// so that a crash in between gives no ordinal twice.
func (tx *placing) ordinalOf(code typeCode, k repository.Key) (ordinal, error) {
	if o, ok := tx.known[k]; ok {
		return o, nil
	}
	value, closer, err := tx.s.db.Get(appendIDKey(nil, code, k.ID))
	if err == nil {
		defer closer.Close()
		o, ok := readOrdinal(value)
		if !ok {
			return 0, fmt.Errorf("%w: a malformed ordinal", repository.ErrCorrupt)
		}
		return o, nil
	}
	if !errors.Is(err, pebble.ErrNotFound) {
		return 0, storeError("reading", err)
	}
	o := tx.nextOrdinal(code)
	tx.known[k] = o
	tx.setCurrent(code, &stored{}, &stored{flags: flagHollow, version: 1, id: k.ID, ordinal: o})
	return o, tx.err
}

// Finish implements repository.Importer.
func (m *Import) Finish(ctx context.Context, marks repository.Marks) (err error) {
	s := m.s
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave(&err)
	if m.done {
		return nil
	}
	s.stamps.mu.Lock()
	defer s.stamps.mu.Unlock()
	_, err = s.committer.submit(ctx, func() (pending, error) {
		tx := s.begin(0)
		tx.seq = max(tx.seq, marks.Position)
		tx.keep(tx.batch.Set(metaKey(metaSeq), metaValue(tx.seq), nil))
		tx.keep(tx.batch.Set(metaKey(metaStamp), metaValue(uint64(marks.Stamp+1)), nil))
		tx.keep(tx.batch.Set(metaKey(metaImport), appendImport(true, m.source, m.place), nil))
		tx.keep(tx.batch.Set(metaKey(metaFormat), metaValue(format), nil))
		return tx.apply()
	})
	if err != nil {
		return fmt.Errorf("finishing an import: %w", err)
	}
	s.stamps.last, s.stamps.reserved = marks.Stamp, marks.Stamp+1
	m.done = true
	return nil
}

// Export yields what was stored so far, as a store does.
func (m *Import) Export(ctx context.Context, after repository.Place) iter.Seq2[repository.Entry, error] {
	return m.s.Export(ctx, after)
}

// Marks returns the counters of the folder.
func (m *Import) Marks(ctx context.Context) (repository.Marks, error) { return m.s.Marks(ctx) }

// Close closes the folder.
func (m *Import) Close() error { return m.s.Close() }
