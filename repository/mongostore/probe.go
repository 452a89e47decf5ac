package mongostore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// ErrUnsuitable means that the server lacks what the engine relies on.
var ErrUnsuitable = errors.New("the MongoDB server is not suitable")

// checkTopology refuses a standalone server, which has no transactions, and a
// clock that is far from ours.
func (s *Store) checkTopology(ctx context.Context) error {
	var hello struct {
		SetName        string    `bson:"setName"`
		Msg            string    `bson:"msg"`
		LocalTime      time.Time `bson:"localTime"`
		MaxWireVersion int       `bson:"maxWireVersion"`
	}
	began := s.opts.Now()
	if err := s.db.RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&hello); err != nil {
		return storeError(ctx, "connecting to MongoDB", err)
	}
	took := s.opts.Now().Sub(began)
	if hello.SetName == "" && hello.Msg != "isdbgrid" {
		return fmt.Errorf("%w: it runs standalone and has no transactions; start it as a replica set of one node"+
			" (mongod --replSet rs0, then rs.initiate() once)", ErrUnsuitable)
	}
	const wire50 = 13 // MongoDB 5.0
	if hello.MaxWireVersion < wire50 {
		return fmt.Errorf("%w: it is older than MongoDB 5.0", ErrUnsuitable)
	}
	if hello.LocalTime.IsZero() {
		return nil
	}
	skew := hello.LocalTime.Sub(began.Add(took / 2)).Abs()
	if skew > s.opts.MaxSkew+took {
		return fmt.Errorf("%w: its clock and ours are %s apart, at most %s is allowed; synchronise both (NTP)",
			ErrUnsuitable, skew.Round(time.Millisecond), s.opts.MaxSkew)
	}
	return nil
}

// probe tries what the engine relies on: that a transaction that is given up
// leaves nothing, that two that write the same document cannot both commit,
// and that an array is found by each of its elements through an index.
func (s *Store) probe(ctx context.Context) error {
	id := bson.NewObjectID()
	c := s.db.Collection("probe")
	if _, err := c.Indexes().CreateOne(ctx, mongo.IndexModel{
		Keys: bson.D{{Key: fieldTokens, Value: 1}}, Options: options.Index().SetName("token"),
	}); err != nil {
		return storeError(ctx, "probing the server", err)
	}
	doc := bson.D{{Key: fieldID, Value: id}, {Key: fieldTokens, Value: []int64{1, -1 << 62, 7}}, {Key: "n", Value: 0}}
	if _, err := c.InsertOne(ctx, doc); err != nil {
		return storeError(ctx, "probing the server", err)
	}
	defer func() { _, _ = c.DeleteOne(context.WithoutCancel(ctx), bson.D{{Key: fieldID, Value: id}}) }()
	if err := s.probeTransactions(ctx, c, id); err != nil {
		return err
	}
	n, err := c.CountDocuments(ctx,
		bson.D{{Key: fieldTokens, Value: int64(-1 << 62)}, {Key: fieldID, Value: id}, {Key: "n", Value: 0}},
		options.Count().SetHint("token"))
	if err != nil {
		return storeError(ctx, "probing the server", err)
	}
	if n != 1 {
		return fmt.Errorf("%w: an index over an array did not find an element, or a transaction that was given up left a trace", ErrUnsuitable)
	}
	return nil
}

func (s *Store) probeTransactions(ctx context.Context, c *mongo.Collection, id bson.ObjectID) error {
	increment := func(ctx context.Context) error {
		_, err := c.UpdateByID(ctx, id, bson.D{{Key: "$inc", Value: bson.D{{Key: "n", Value: 1}}}})
		return err
	}
	return s.client.UseSession(ctx, func(first context.Context) error {
		return s.client.UseSession(ctx, func(second context.Context) error {
			one, two := mongo.SessionFromContext(first), mongo.SessionFromContext(second)
			defer func() { _ = two.AbortTransaction(context.WithoutCancel(ctx)) }()
			defer func() { _ = one.AbortTransaction(context.WithoutCancel(ctx)) }()
			if err := errors.Join(one.StartTransaction(), two.StartTransaction()); err != nil {
				return fmt.Errorf("%w: it offers no transactions", ErrUnsuitable)
			}
			if err := increment(first); err != nil {
				return storeError(ctx, "probing transactions", err)
			}
			if err := increment(second); err == nil {
				return fmt.Errorf("%w: two open transactions wrote the same document", ErrUnsuitable)
			}
			return nil
		})
	})
}
