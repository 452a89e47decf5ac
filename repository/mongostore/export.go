package mongostore

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/fieldseal/fieldseal/repository"
)

var _ repository.Exporter = (*Store)(nil)

// OpenSource opens a database to be moved elsewhere: it creates nothing, and
// the connection has another name than that of a server.
func OpenSource(ctx context.Context, o Options) (*Store, error) {
	o.moving = true
	return open(ctx, o, func(s *Store) []func(context.Context) error {
		return []func(context.Context) error{s.checkTopology, s.readFormat, s.startClock}
	})
}

// exportChunk is how many versions are asked for at once, and exportBytes how
// many bytes of them are kept.
const (
	exportChunk = 256
	exportBytes = 16 << 20
)

// Marks implements repository.Exporter.
func (s *Store) Marks(ctx context.Context) (repository.Marks, error) {
	end, err := s.feedEnd(ctx)
	if err != nil {
		return repository.Marks{}, err
	}
	var mark struct {
		Hi int64 `bson:"hi"`
	}
	if err := s.meta.FindOne(ctx, bson.D{{Key: fieldID, Value: metaStamp}}).Decode(&mark); err != nil {
		return repository.Marks{}, storeError(ctx, "reading the highest stamp", err)
	}
	return repository.Marks{Position: uint64(end), Stamp: repository.Stamp(mark.Hi)}, nil
}

// Export implements repository.Exporter.
func (s *Store) Export(ctx context.Context, after repository.Place) iter.Seq2[repository.Entry, error] {
	return func(yield func(repository.Entry, error) bool) {
		for _, part := range []func(context.Context, repository.Place, func(repository.Entry) bool) (bool, error){
			s.exportVersions, s.exportHollow, s.exportRows,
		} {
			more, err := part(ctx, after, func(e repository.Entry) bool { return yield(e, nil) })
			if err != nil {
				yield(repository.Entry{}, fmt.Errorf("exporting: %w", err))
			}
			if err != nil || !more {
				return
			}
		}
	}
}

// exportVersions merges current and past versions by their positions.
func (s *Store) exportVersions(ctx context.Context, after repository.Place, yield func(repository.Entry) bool) (bool, error) {
	from := int64(after.Position())
	lanes := []*lane{{s: s, in: s.records, after: from}, {s: s, in: s.versions, after: from, past: true}}
	for {
		var next *lane
		for _, l := range lanes {
			if err := l.fill(ctx); err != nil {
				return false, err
			}
			if len(l.read) > 0 && (next == nil || l.read[0].Seq < next.read[0].Seq) {
				next = l
			}
		}
		if next == nil {
			return true, nil
		}
		e, err := next.take()
		if err != nil {
			return false, err
		}
		if !yield(e) {
			return false, nil
		}
	}
}

// lane is one collection of versions, read in order of positions.
type lane struct {
	s     *Store
	in    *mongo.Collection
	past  bool
	after int64
	read  []document
	ended bool
}

// fill reads the next chunk when none is left.
func (l *lane) fill(ctx context.Context) error {
	if len(l.read) > 0 || l.ended {
		return nil
	}
	cur, err := l.in.Find(ctx, bson.D{{Key: fieldSeq, Value: bson.D{{Key: "$gt", Value: l.after}}}},
		options.Find().SetSort(bson.D{{Key: fieldSeq, Value: 1}}).SetHint(feedIndex).SetLimit(exportChunk))
	if err != nil {
		return storeError(ctx, "reading versions", err)
	}
	defer cur.Close(ctx)
	size := 0
	for size < exportBytes && cur.Next(ctx) {
		var d document
		if err := cur.Decode(&d); err != nil {
			return fmt.Errorf("%w: a malformed document", repository.ErrCorrupt)
		}
		size += len(d.Body)
		l.read = append(l.read, d)
	}
	if n := len(l.read); n > 0 {
		l.after = l.read[n-1].Seq
	} else {
		l.ended = true
	}
	return storeError(ctx, "reading versions", cur.Err())
}

func (l *lane) take() (repository.Entry, error) {
	d := &l.read[0]
	l.read = l.read[1:]
	r, err := d.record()
	if err != nil {
		return repository.Entry{}, err
	}
	for _, t := range d.Tokens {
		r.Tokens = append(r.Tokens, repository.Token(t))
	}
	return repository.Entry{Kind: repository.VersionEntry, Record: r, Position: uint64(d.Seq), Past: l.past}, nil
}

// exportHollow yields the keys that have no position in the feed.
func (s *Store) exportHollow(ctx context.Context, after repository.Place, yield func(repository.Entry) bool) (bool, error) {
	cur, err := s.records.Find(ctx, bson.D{{Key: fieldSeq, Value: nil}}, options.Find().SetHint(feedIndex))
	if err != nil {
		return false, storeError(ctx, "reading purged keys", err)
	}
	defer cur.Close(ctx)
	var found []repository.Entry
	for cur.Next(ctx) {
		var d document
		k, ok := repository.Key{}, false
		if err := cur.Decode(&d); err == nil {
			k, ok = keyOf(d.ID)
		}
		if !ok || d.State != hollow || d.Sum != d.sum() {
			return false, fmt.Errorf("%w: a malformed document", repository.ErrCorrupt)
		}
		found = append(found, repository.Entry{Kind: repository.HollowEntry,
			Record: repository.Record{Key: k, Version: repository.Version(d.Version)}})
	}
	if err := cur.Err(); err != nil {
		return false, storeError(ctx, "reading purged keys", err)
	}
	slices.SortFunc(found, func(a, b repository.Entry) int {
		return bytes.Compare([]byte(a.Place()), []byte(b.Place()))
	})
	for _, e := range found {
		if e.Place() > after && !yield(e) {
			return false, nil
		}
	}
	return true, nil
}

// exportRows yields the rows of all tables.
func (s *Store) exportRows(ctx context.Context, after repository.Place, yield func(repository.Entry) bool) (bool, error) {
	names, err := s.tableNames(ctx)
	if err != nil {
		return false, err
	}
	for _, name := range names {
		for row, err := range s.Table(name).Scan(ctx, nil) {
			if err != nil {
				return false, err
			}
			e := repository.Entry{Kind: repository.RowEntry, Table: name, Row: row}
			if e.Place() > after && !yield(e) {
				return false, nil
			}
		}
	}
	return true, nil
}

// tableNames are the tables that exist, in order of their names.
func (s *Store) tableNames(ctx context.Context) ([]string, error) {
	all, err := s.db.ListCollectionNames(ctx, bson.D{})
	if err != nil {
		return nil, storeError(ctx, "listing tables", err)
	}
	var names []string
	for _, n := range all {
		if name, ok := strings.CutPrefix(n, tablePrefix); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}
