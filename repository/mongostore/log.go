package mongostore

import (
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/fieldseal/fieldseal/repository"
)

// Log is an append-only collection: this package sends it inserts and finds,
// and nothing else, so that its user needs no other privilege there. All
// methods may be called concurrently.
type Log struct {
	gate       *gate
	entries    *mongo.Collection
	disconnect func() error
}

// fieldTime is the time of an entry; the other fields are those of a record.
const fieldTime = "t"

// logDocument is a LogEntry. Entries that no query finds have neither time nor
// terms.
type logDocument struct {
	ID    string  `bson:"_id"`
	Time  int64   `bson:"t,omitempty"`
	Terms []int64 `bson:"k,omitempty"`
	Body  []byte  `bson:"b"`
}

func (d *logDocument) entry() repository.LogEntry {
	e := repository.LogEntry{ID: d.ID, Time: d.Time, Body: d.Body}
	for _, t := range d.Terms {
		e.Terms = append(e.Terms, repository.Token(t))
	}
	return e
}

// Indexes of a log. The first answers queries by term in the order of time, the
// second those without a term.
const (
	logTermIndex = "term"
	logTimeIndex = "time"
)

// Log opens a log by name, a short word of ours, and creates its indexes.
func (s *Store) Log(ctx context.Context, name string) (*Log, error) {
	l := &Log{gate: s.gate, entries: s.db.Collection(name)}
	index := func(name string, keys ...string) mongo.IndexModel {
		d := bson.D{}
		for _, k := range keys {
			d = append(d, bson.E{Key: k, Value: 1})
		}
		return mongo.IndexModel{Keys: d, Options: options.Index().SetName(name)}
	}
	s.opts.Progress("building the indexes of " + name)
	_, err := l.entries.Indexes().CreateMany(ctx, []mongo.IndexModel{
		index(logTermIndex, fieldTokens, fieldTime, fieldID),
		index(logTimeIndex, fieldTime, fieldID),
	})
	return l, storeError(ctx, "building the indexes of "+name, err)
}

// OpenLog connects to a log alone and reads nothing but it: no check of the
// server, no index is made. It serves an auditor, whose user may only read. The
// caller closes it.
func OpenLog(o Options, name string) (*Log, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.setDefaults()
	s, err := connect(o)
	if err != nil {
		return nil, err
	}
	return &Log{s.gate, s.db.Collection(name), s.disconnect}, nil
}

// Close ends the connections of OpenLog; a log of a Store closes with it.
func (l *Log) Close() error {
	if l.disconnect == nil {
		return nil
	}
	return l.disconnect()
}

// Append inserts entries in their order, one command as a rule, durable on a
// majority on return. repository.ErrConflict: an ID is taken. After any error
// the entries up to some place may be there, none behind it.
func (l *Log) Append(ctx context.Context, entries []repository.LogEntry) error {
	if err := l.gate.pass(ctx); err != nil {
		return err
	}
	docs := make([]*logDocument, len(entries))
	for i, e := range entries {
		docs[i] = &logDocument{ID: e.ID, Time: e.Time, Body: e.Body, Terms: tokens(e.Terms)}
	}
	_, err := l.entries.InsertMany(ctx, docs)
	if isDuplicate(err) {
		return fmt.Errorf("appending to the log: %w", repository.ErrConflict)
	}
	return storeError(ctx, "appending to the log", err)
}

// Range returns at most limit entries with from ≤ ID < to, in order. An entry
// that somebody else wrote in another form has an ID and nothing else.
func (l *Log) Range(ctx context.Context, from, to string, limit int) ([]repository.LogEntry, error) {
	return l.list(ctx, idRange(from, to), options.Find().SetHint("_id_").
		SetSort(bson.D{{Key: fieldID, Value: 1}}).SetLimit(int64(limit)))
}

// Last returns the entry with the highest ID in from ≤ ID < to, or
// repository.ErrNotFound.
func (l *Log) Last(ctx context.Context, from, to string) (repository.LogEntry, error) {
	got, err := l.list(ctx, idRange(from, to), options.Find().SetHint("_id_").
		SetSort(bson.D{{Key: fieldID, Value: -1}}).SetLimit(1))
	if err == nil && len(got) == 0 {
		err = fmt.Errorf("reading the end of the log: %w", repository.ErrNotFound)
	}
	if err != nil {
		return repository.LogEntry{}, err
	}
	return got[0], nil
}

func idRange(from, to string) bson.D {
	return bson.D{{Key: fieldID, Value: bson.D{{Key: "$gte", Value: from}, {Key: "$lt", Value: to}}}}
}

// Find returns at most q.Limit entries.
func (l *Log) Find(ctx context.Context, q repository.LogQuery) ([]repository.LogEntry, error) {
	if err := checkLimit(q.Limit); err != nil {
		return nil, err
	}
	filter, index, possible := logSelection(&q)
	if !possible {
		return nil, nil
	}
	return l.list(ctx, filter, options.Find().SetHint(index).SetLimit(int64(q.Limit)).
		SetSort(bson.D{{Key: fieldTime, Value: -1}, {Key: fieldID, Value: -1}}))
}

// logSelection is the filter of a query and its index. A page goes on behind a
// place in the order of time and ID, which no later entry changes.
func logSelection(q *repository.LogQuery) (filter bson.D, index string, possible bool) {
	index = logTimeIndex
	to := q.To
	if q.BeforeID != "" {
		to = min(to, q.BeforeTime)
	}
	and := bson.A{bson.D{{Key: fieldTime, Value: bson.D{{Key: "$gte", Value: max(q.From, 1)}, {Key: "$lte", Value: to}}}}}
	for _, clause := range q.All {
		if len(clause) == 0 {
			return nil, "", false
		}
		index = logTermIndex
		if len(clause) == 1 {
			and = append(and, bson.D{{Key: fieldTokens, Value: int64(clause[0])}})
		} else {
			and = append(and, bson.D{{Key: fieldTokens, Value: bson.D{{Key: "$in", Value: tokens(clause)}}}})
		}
	}
	if q.BeforeID != "" {
		and = append(and, bson.D{{Key: "$or", Value: bson.A{
			bson.D{{Key: fieldTime, Value: bson.D{{Key: "$lt", Value: q.BeforeTime}}}},
			bson.D{{Key: fieldID, Value: bson.D{{Key: "$lt", Value: q.BeforeID}}}},
		}}})
	}
	return bson.D{{Key: "$and", Value: and}}, index, true
}

func (l *Log) list(ctx context.Context, filter bson.D, o *options.FindOptionsBuilder) ([]repository.LogEntry, error) {
	if err := l.gate.pass(ctx); err != nil {
		return nil, err
	}
	cur, err := l.entries.Find(ctx, filter, o)
	if err != nil {
		return nil, storeError(ctx, "reading the log", err)
	}
	defer cur.Close(ctx)
	var out []repository.LogEntry
	for cur.Next(ctx) {
		var d logDocument
		if err := cur.Decode(&d); err != nil { // its reader finds that it lacks a body, and where
			d = logDocument{}
			d.ID, _ = cur.Current.Lookup(fieldID).StringValueOK()
		}
		out = append(out, d.entry())
	}
	return out, storeError(ctx, "reading the log", cur.Err())
}
