package mongostore

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/fieldseal/fieldseal/repository"
)

// formatImporting stands in the place of the format while a database is filled
// from another store. No release opens it.
const formatImporting = -1

// metaImport is the document that says where an import stands.
const metaImport = "import"

// importState is that document.
type importState struct {
	Source []byte `bson:"source"`
	Place  []byte `bson:"place"`
	Done   bool   `bson:"done"`
}

// Import is a database that is being filled.
type Import struct {
	s     *Store
	state importState
}

var _ repository.Importer = (*Import)(nil)

// OpenImport opens a database to be filled from the named source: one without
// a record, version or row, or one that an earlier OpenImport with the same
// source began to fill or has filled. Every other one is
// repository.ErrNotEmpty. Indexes are created at once, so that no later step
// takes longer with the number of records.
func OpenImport(ctx context.Context, o Options, source []byte) (*Import, error) {
	if len(source) == 0 {
		return nil, errors.New("mongostore: an import needs the name of its source")
	}
	o.moving = true
	m := &Import{state: importState{Source: source}}
	_, err := open(ctx, o, func(s *Store) []func(context.Context) error {
		m.s = s
		return []func(context.Context) error{s.checkTopology, m.claim, s.createIndexes, s.probe, s.startClock}
	})
	return m, err
}

// claim reads the state of an import, or begins one.
func (m *Import) claim(ctx context.Context) error {
	var found importState
	err := m.s.meta.FindOne(ctx, bson.D{{Key: fieldID, Value: metaImport}}).Decode(&found)
	if err == nil && string(found.Source) == string(m.state.Source) {
		m.state = found
		return nil
	}
	if err == nil {
		return repository.ErrNotEmpty
	}
	if !errors.Is(err, mongo.ErrNoDocuments) {
		return storeError(ctx, "reading the state of an import", err)
	}
	if err := m.checkEmpty(ctx); err != nil {
		return err
	}
	if err := m.s.checkUnused(ctx); err != nil {
		return err
	}
	_, err = m.s.meta.UpdateByID(ctx, metaFormat,
		bson.D{{Key: "$set", Value: bson.D{{Key: "version", Value: formatImporting}}}}, options.UpdateOne().SetUpsert(true))
	if err == nil {
		err = m.save(ctx)
	}
	return storeError(ctx, "beginning an import", err)
}

// checkEmpty lets a database in that an administrator has prepared.
func (m *Import) checkEmpty(ctx context.Context) error {
	tables, err := m.s.tableNames(ctx)
	if err != nil {
		return err
	}
	in := []*mongo.Collection{m.s.records, m.s.versions}
	for _, name := range tables {
		in = append(in, m.s.db.Collection(tablePrefix+name))
	}
	for _, c := range in {
		err := c.FindOne(ctx, bson.D{}, options.FindOne().SetProjection(bson.D{{Key: fieldID, Value: 1}})).Err()
		if err == nil {
			return repository.ErrNotEmpty
		}
		if !errors.Is(err, mongo.ErrNoDocuments) {
			return storeError(ctx, "looking for other data", err)
		}
	}
	return nil
}

func (m *Import) save(ctx context.Context) error {
	_, err := m.s.meta.UpdateByID(ctx, metaImport, bson.D{{Key: "$set", Value: m.state}}, options.UpdateOne().SetUpsert(true))
	return err
}

// Reached implements repository.Importer.
func (m *Import) Reached(context.Context) (repository.Place, bool, error) {
	return repository.Place(m.state.Place), m.state.Done, nil
}

// Import implements repository.Importer: entries first, then the place. What a
// crash in between left comes again and is there already.
func (m *Import) Import(ctx context.Context, es []repository.Entry) error {
	if m.state.Done {
		return errors.New("importing: the import has ended")
	}
	if len(es) == 0 {
		return nil
	}
	parts := map[string][]any{}
	for i := range es {
		name, doc, err := placed(&es[i])
		if err != nil {
			return fmt.Errorf("importing: %w", err)
		}
		parts[name] = append(parts[name], doc)
	}
	for name, docs := range parts {
		_, err := m.s.db.Collection(name).InsertMany(ctx, docs, options.InsertMany().SetOrdered(false))
		if err != nil && !onlyDuplicates(err) {
			return storeError(ctx, "importing", err)
		}
	}
	m.state.Place = []byte(es[len(es)-1].Place())
	return storeError(ctx, "importing", m.save(ctx))
}

// placed is the document of an entry, and its collection.
func placed(e *repository.Entry) (collection string, doc any, err error) {
	if e.Size() > maxDocument {
		return "", nil, fmt.Errorf("%w: a document holds 16 MiB", repository.ErrTooLarge)
	}
	switch {
	case e.Kind == repository.RowEntry:
		r := newRow(e.Row.Key, e.Row.Value)
		r.Revision = int64(e.Row.Revision)
		return tablePrefix + e.Table, &r, nil
	case e.Kind == repository.HollowEntry:
		d := document{ID: recordID(e.Record.Key), Version: int64(e.Record.Version), State: hollow}
		d.Sum = d.sum()
		return recordsName, &d, nil
	}
	d := newDocument(&repository.Write{Record: e.Record}, int64(e.Position))
	if e.Past {
		d = d.past()
		return versionsName, &d, nil
	}
	return recordsName, &d, nil
}

func onlyDuplicates(err error) bool {
	var failed mongo.BulkWriteException
	if !errors.As(err, &failed) || failed.WriteConcernError != nil {
		return false
	}
	for _, e := range failed.WriteErrors {
		if !isDuplicate(e) {
			return false
		}
	}
	return true
}

// Finish implements repository.Importer. The format is written last.
func (m *Import) Finish(ctx context.Context, marks repository.Marks) error {
	if m.state.Done {
		return nil
	}
	set := func(id string, field string, value any) error {
		_, err := m.s.meta.UpdateByID(ctx, id, bson.D{{Key: "$set", Value: bson.D{{Key: field, Value: value}}}})
		return err
	}
	m.state.Done = true
	for _, step := range []func() error{
		func() error { return set(metaFeed, "n", int64(marks.Position)) },
		func() error { return set(metaStamp, "hi", int64(marks.Stamp)) },
		func() error { return m.s.layMileposts(ctx) },
		func() error { return set(metaFormat, "version", formatVersion) },
		func() error { return m.save(ctx) },
	} {
		if err := step(); err != nil {
			m.state.Done = false
			return storeError(ctx, "finishing an import", err)
		}
	}
	return nil
}

// Export yields what was stored so far, as a store does.
func (m *Import) Export(ctx context.Context, after repository.Place) iter.Seq2[repository.Entry, error] {
	return m.s.Export(ctx, after)
}

// Marks returns the counters of the database.
func (m *Import) Marks(ctx context.Context) (repository.Marks, error) { return m.s.Marks(ctx) }

// Close ends the connections.
func (m *Import) Close() error { return m.s.Close() }
