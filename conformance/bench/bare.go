package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
)

// bare issues the commands of the engine (docs/format/mongostore.md) without
// it, on a copy of what the server stored.
type bare struct {
	client  *mongo.Client
	stored  *mongo.Database // of the server
	copied  *mongo.Database
	version string
	docs    []bson.D
	rarest  []any // token of each
}

// bareResult is what commands alone cost.
type bareResult struct {
	p50  time.Duration
	rate float64
	cpu  time.Duration // of this process, per call
}

// bareCall issues the commands of the n-th request.
type bareCall func(ctx context.Context, n int) error

func openBare(ctx context.Context, address, name string) (*bare, error) {
	client, err := mongo.Connect(options.Client().ApplyURI(address).SetReadConcern(readconcern.Majority()).
		SetWriteConcern(&writeconcern.WriteConcern{W: "majority", Journal: new(true)}))
	if err != nil {
		return nil, errors.New("the address of the database is not valid")
	}
	b := &bare{client: client, stored: client.Database(name), copied: client.Database(name + "_bare")}
	var info struct {
		Version string `bson:"version"`
	}
	if err := b.stored.RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}).Decode(&info); err != nil {
		return nil, err
	}
	b.version = "MongoDB's protocol " + info.Version
	return b, nil
}

// close drops both databases, and the keystore's beside them.
func (b *bare) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, d := range []*mongo.Database{b.stored, b.copied, b.client.Database(b.stored.Name() + "_keystore")} {
		_ = d.Drop(ctx)
	}
	_ = b.client.Disconnect(ctx)
}

// prepare copies current observations, with the indexes of the engine.
func (b *bare) prepare(ctx context.Context) error {
	cur, err := b.stored.Collection("records").Find(ctx, bson.D{{Key: "k", Value: bson.D{{Key: "$exists", Value: true}}}}, options.Find().SetLimit(2000))
	if err != nil {
		return err
	}
	if err := cur.All(ctx, &b.docs); err != nil {
		return err
	}
	b.count()
	records := b.copied.Collection("records")
	for name, keys := range map[string]bson.D{
		"token":   {{Key: "k", Value: 1}, {Key: "_id", Value: 1}},
		"owner":   {{Key: "o", Value: 1}, {Key: "_id", Value: 1}},
		"updated": {{Key: "u", Value: 1}, {Key: "_id", Value: 1}},
		"feed":    {{Key: "q", Value: 1}},
	} {
		if _, err := records.Indexes().CreateOne(ctx, mongo.IndexModel{Keys: keys, Options: options.Index().SetName(name)}); err != nil {
			return err
		}
	}
	if _, err := records.InsertMany(ctx, b.docs); err != nil {
		return err
	}
	for _, name := range []string{"trail", "versions", "guards"} { // no transaction creates them
		if _, err := b.copied.Collection(name).InsertOne(ctx, bson.D{{Key: "b", Value: make([]byte, 1)}}); err != nil {
			return err
		}
	}
	feed := mongo.IndexModel{Keys: bson.D{{Key: "q", Value: 1}}, Options: options.Index().SetName("feed")}
	if _, err := b.copied.Collection("versions").Indexes().CreateOne(ctx, feed); err != nil {
		return err
	}
	_, err = b.copied.Collection("meta").InsertOne(ctx, bson.D{{Key: "_id", Value: "feed"}, {Key: "n", Value: int64(0)}})
	return err
}

func (b *bare) doc(n int) bson.D { return b.docs[n%len(b.docs)] }

func field(d bson.D, name string) any {
	for _, e := range d {
		if e.Key == name {
			return e.Value
		}
	}
	return nil
}

var withoutTokens = bson.D{{Key: "k", Value: 0}}

// audit is the insert of one event, about as large as the server's.
func (b *bare) audit(ctx context.Context) error {
	_, err := b.copied.Collection("trail").InsertOne(ctx, bson.D{{Key: "b", Value: make([]byte, 800)}})
	return err
}

// get reads one document by its id.
func (b *bare) get(ctx context.Context, n int) error {
	return b.copied.Collection("records").FindOne(ctx, bson.D{{Key: "_id", Value: field(b.doc(n), "_id")}},
		options.FindOne().SetProjection(withoutTokens)).Err()
}

func (b *bare) read(ctx context.Context, n int) error {
	return errors.Join(b.get(ctx, n), b.audit(ctx))
}

// find asks for the rarest token of a document.
func (b *bare) find(ctx context.Context, n int) error {
	return b.all(ctx, bson.D{
		{Key: "_id", Value: bson.D{{Key: "$gte", Value: bson.Binary{Data: make([]byte, 24)}}}},
		{Key: "s", Value: 0}, {Key: "$and", Value: bson.A{bson.D{{Key: "k", Value: b.rarest[n%len(b.docs)]}}}},
	}, options.Find().SetHint("token").SetSort(bson.D{{Key: "_id", Value: 1}}).SetLimit(21).SetBatchSize(22).SetProjection(withoutTokens))
}

// all reads what a query of the records finds.
func (b *bare) all(ctx context.Context, filter bson.D, o *options.FindOptionsBuilder) error {
	cur, err := b.copied.Collection("records").Find(ctx, filter, o)
	if err != nil {
		return err
	}
	var found []bson.Raw
	return cur.All(ctx, &found)
}

func (b *bare) search(ctx context.Context, n int) error {
	return errors.Join(b.find(ctx, n), b.audit(ctx))
}

// count finds the rarest token of each document.
func (b *bare) count() {
	carry := map[any]int{}
	for _, d := range b.docs {
		for _, t := range tokens(d) {
			carry[t]++
		}
	}
	b.rarest = make([]any, len(b.docs))
	for i, d := range b.docs {
		for _, t := range tokens(d) {
			if b.rarest[i] == nil || carry[t] < carry[b.rarest[i]] {
				b.rarest[i] = t
			}
		}
	}
}

func tokens(d bson.D) bson.A {
	list, _ := field(d, "k").(bson.A)
	return list
}

// run issues a call from n goroutines for a time.
func (b *bare) run(ctx context.Context, clients int, duration time.Duration, call bareCall) (r bareResult, err error) {
	var mu sync.Mutex
	var took []time.Duration
	var wg sync.WaitGroup
	began, cpu := time.Now(), ownCPU()
	for c := range clients {
		wg.Go(func() {
			for n := c; time.Since(began) < duration; n += clients {
				sent := time.Now()
				failed := call(ctx, n)
				mu.Lock()
				took, err = append(took, time.Since(sent)), errors.Join(err, failed)
				mu.Unlock()
				if failed != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	if err != nil || len(took) == 0 {
		return r, fmt.Errorf("%d calls: %w", len(took), err)
	}
	slices.Sort(took)
	n := len(took)
	return bareResult{p50: took[n/2], rate: float64(n) / time.Since(began).Seconds(), cpu: (ownCPU() - cpu) / time.Duration(n)}, nil
}

// ownCPU is the processor time of this process.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
