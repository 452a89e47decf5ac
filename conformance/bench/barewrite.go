package main

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
)

// written is what a transaction writes, and what stands before it. How many
// guards is about right.
type written struct {
	creates, updates, guards int
	relies                   bool // on the guards
	searches                 bool // and on that a search finds nothing, or one
}

// commit is a write of the engine, between its intent and its outcome.
func (b *bare) commit(w written) bareCall {
	return func(ctx context.Context, n int) error {
		if w.searches {
			if err := b.found(ctx, n); err != nil {
				return err
			}
		}
		if w.updates > 0 && !w.searches { // what is updated is read and judged
			if err := b.get(ctx, n); err != nil {
				return err
			}
		}
		if err := b.audit(ctx); err != nil {
			return err
		}
		session, err := b.client.StartSession()
		if err != nil {
			return err
		}
		defer session.EndSession(ctx)
		_, err = session.WithTransaction(ctx, func(ctx context.Context) (any, error) { return nil, b.write(ctx, n, w) },
			options.Transaction().SetReadConcern(readconcern.Snapshot()))
		return errors.Join(err, b.audit(ctx))
	}
}

// write is the inside of the transaction, in the engine's order.
func (b *bare) write(ctx context.Context, n int, w written) error {
	if w.relies {
		if err := b.revisions(ctx, n, w.guards); err != nil {
			return err
		}
	}
	if w.updates > 0 {
		if err := b.get(ctx, n); err != nil {
			return err
		}
	}
	err := b.copied.Collection("meta").FindOneAndUpdate(ctx, bson.D{{Key: "_id", Value: "feed"}},
		bson.D{{Key: "$inc", Value: bson.D{{Key: "n", Value: w.creates + w.updates}}}}).Err()
	if err != nil {
		return err
	}
	var models []mongo.WriteModel
	var past []any
	for i := range w.creates {
		models = append(models, mongo.NewInsertOneModel().SetDocument(with(b.doc(n+i), "_id", fresh())))
	}
	for i := range w.updates {
		d := b.doc(n + i)
		models = append(models, mongo.NewReplaceOneModel().SetReplacement(d).SetFilter(bson.D{{Key: "_id", Value: field(d, "_id")}}))
		past = append(past, slices.DeleteFunc(with(d, "_id", fresh()), func(e bson.E) bool { return e.Key == "k" }))
	}
	if _, err := b.copied.Collection("records").BulkWrite(ctx, models); err != nil {
		return err
	}
	if len(past) > 0 {
		if _, err := b.copied.Collection("versions").InsertMany(ctx, past); err != nil {
			return err
		}
	}
	return b.raise(ctx, n, w.guards)
}

// guard is one of the engine's 65,536 counters.
func guard(n, i int) int32 { return int32((n*31 + i*7919) & 0xffff) }

func (b *bare) revisions(ctx context.Context, n, guards int) error {
	ids := bson.A{}
	for i := range guards {
		ids = append(ids, guard(n, i))
	}
	cur, err := b.copied.Collection("guards").Find(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}})
	if err != nil {
		return err
	}
	return cur.Close(ctx)
}

func (b *bare) raise(ctx context.Context, n, guards int) error {
	var models []mongo.WriteModel
	for i := range guards {
		models = append(models, mongo.NewUpdateOneModel().SetFilter(bson.D{{Key: "_id", Value: guard(n, i)}}).SetUpsert(true).
			SetUpdate(bson.D{{Key: "$inc", Value: bson.D{{Key: "r", Value: 1}}}}))
	}
	if len(models) == 0 {
		return nil
	}
	_, err := b.copied.Collection("guards").BulkWrite(ctx, models)
	return err
}

// found is what precedes a conditional interaction: the guards are read, then
// the search is made.
func (b *bare) found(ctx context.Context, n int) error {
	return errors.Join(b.revisions(ctx, n, 1), b.find(ctx, n))
}

// existing is a conditional interaction that writes nothing.
func (b *bare) existing(ctx context.Context, n int) error {
	return errors.Join(b.found(ctx, n), b.audit(ctx))
}

// fresh is an id as long as those of observations.
func fresh() []byte {
	id := make([]byte, 28)
	_, _ = rand.Read(id)
	return id
}

func with(d bson.D, name string, value any) bson.D {
	d = slices.Clone(d)
	for i := range d {
		if d[i].Key == name {
			d[i].Value = value
		}
	}
	return d
}

// feed reads the newest thousand versions: the end of the feed, positions, the
// documents.
func (b *bare) feed(ctx context.Context, _ int) error {
	const page = 1000
	if err := b.copied.Collection("meta").FindOne(ctx, bson.D{{Key: "_id", Value: "feed"}}).Err(); err != nil {
		return err
	}
	positions := options.Find().SetHint("feed").SetSort(bson.D{{Key: "q", Value: -1}}).SetLimit(page).SetBatchSize(page + 1)
	var ids bson.A
	for _, c := range []string{"records", "versions"} {
		cur, err := b.copied.Collection(c).Find(ctx, bson.D{{Key: "q", Value: bson.D{{Key: "$gt", Value: int64(0)}}}},
			positions.SetProjection(bson.D{{Key: "k", Value: 0}, {Key: "b", Value: 0}}))
		if err != nil {
			return err
		}
		var docs []bson.D
		if err := cur.All(ctx, &docs); err != nil {
			return err
		}
		for _, d := range docs {
			ids = append(ids, field(d, "_id"))
		}
	}
	err := b.all(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids[:min(len(ids), page)]}}}},
		options.Find().SetBatchSize(page+1).SetProjection(withoutTokens))
	return errors.Join(err, b.audit(ctx))
}

// everything reads all documents of one owner at once.
func (b *bare) everything(ctx context.Context, n int) error {
	err := b.all(ctx, bson.D{{Key: "o", Value: field(b.doc(n), "o")}},
		options.Find().SetHint("owner").SetSort(bson.D{{Key: "_id", Value: 1}}).SetBatchSize(1<<20).SetProjection(withoutTokens))
	return errors.Join(err, b.audit(ctx))
}
