package mongostore

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/fieldseal/fieldseal/repository"
)

// Store is one node's connection to the database. All methods may be called
// concurrently.
type Store struct {
	opts      Options
	client    *mongo.Client
	gate      *gate
	db        *mongo.Database
	records   *mongo.Collection
	versions  *mongo.Collection
	guards    *mongo.Collection
	mileposts *mongo.Collection
	meta      *mongo.Collection
	committer *committer
	clock     clock
	newest    newest
	manners   manners
	closing   sync.Once
	closeErr  error
}

var (
	_ repository.Store   = (*Store)(nil)
	_ repository.Purger  = (*Store)(nil)
	_ repository.Census  = (*Store)(nil)
	_ repository.Counter = (*Store)(nil)
	_ repository.Indexer = (*Store)(nil)
)

// Open connects, checks that the server can do what the engine relies on, and
// creates what is missing. It fails with a text that says what to change:
// a server without transactions, an unknown format, clocks apart. The caller
// closes the store.
func Open(ctx context.Context, o Options) (*Store, error) {
	s, err := open(ctx, o, func(s *Store) []func(context.Context) error {
		return []func(context.Context) error{
			s.checkTopology, s.checkLifetime, s.checkFormat, s.checkFence, s.createIndexes, s.upgrade, s.probe, s.startClock,
		}
	})
	if err != nil {
		return nil, err
	}
	s.committer = newCommitter(s)
	s.OnReach(s.committer.reached)
	return s, nil
}

// open connects and takes the steps in order.
func open(ctx context.Context, o Options, steps func(*Store) []func(context.Context) error) (*Store, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.setDefaults()
	s, err := connect(o)
	if err != nil {
		return nil, err
	}
	s.records, s.versions = s.db.Collection(recordsName), s.db.Collection(versionsName)
	s.guards, s.mileposts, s.meta = s.db.Collection(guardsName), s.db.Collection(milepostsName), s.db.Collection(metaName)
	for _, step := range append([]func(context.Context) error{s.gate.pass}, steps(s)...) {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, s.disconnect())
		}
	}
	return s, nil
}

// connect fixes the concerns that the contract needs, whatever the URI says. How
// the servers are watched is the URI's to change.
func connect(o Options) (*Store, error) {
	s := &Store{opts: o}
	s.gate = newGate(o.Timeout, o.Patience)
	c := options.Client().ApplyURI(o.URI)
	setDefaultOf(&c.ServerSelectionTimeout, o.Patience)
	setDefaultOf(&c.HeartbeatInterval, heartbeat)
	setDefaultOf(&c.ConnectTimeout, connectTimeout)
	client, err := mongo.Connect(c.
		SetServerMonitor(&event.ServerMonitor{TopologyDescriptionChanged: s.gate.heard, ServerHeartbeatFailed: s.gate.failed}).
		SetAppName(o.application()).
		SetReadConcern(readconcern.Majority()).
		SetWriteConcern(&writeconcern.WriteConcern{W: "majority", Journal: new(true)}).
		SetReadPreference(readpref.Primary()).
		SetRetryReads(true).
		SetRetryWrites(true).
		SetMonitor(newMonitor(o.watch)).
		SetTimeout(o.Timeout))
	if err != nil {
		s.gate.close()
		return nil, errors.New("mongostore: the connection's options are not valid")
	}
	s.client, s.db = client, client.Database(o.Database)
	return s, nil
}

// How the driver watches its servers. A server that is gone without a word is
// noticed by a heartbeat that gets no answer, one that is back by the next one.
const (
	heartbeat      = time.Second
	connectTimeout = 5 * time.Second
)

func setDefaultOf[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}

// Close ends the node's connections after what was handed to a commit is
// decided. It may be called more than once.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.committer.close()
		s.closeErr = s.disconnect()
	})
	return s.closeErr
}

func (s *Store) disconnect() error {
	s.gate.close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := s.client.Disconnect(ctx); err != nil {
		return errors.New("mongostore: closing the connections failed")
	}
	return nil
}

// indexTime is how long the indexes of a large collection may take, such as one
// that was restored without them.
const indexTime = 24 * time.Hour

// createIndexes builds what is missing; the server builds an index while
// others read and write, and does nothing when it exists.
func (s *Store) createIndexes(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, indexTime) // instead of Options.Timeout
	defer cancel()
	index := func(name string, keys ...string) mongo.IndexModel {
		d := bson.D{}
		for _, k := range keys {
			d = append(d, bson.E{Key: k, Value: 1})
		}
		return mongo.IndexModel{Keys: d, Options: options.Index().SetName(name)}
	}
	for _, c := range []struct {
		in      *mongo.Collection
		indexes []mongo.IndexModel
	}{
		{s.records, []mongo.IndexModel{
			index(tokenIndex, fieldTokens, fieldID),
			index(ownerIndex, fieldOwner, fieldID),
			index(updatedIndex, fieldUpdated, fieldID),
			index(feedIndex, fieldSeq),
		}},
		{s.versions, []mongo.IndexModel{
			index(ownerIndex, fieldOwner, fieldID),
			index(feedIndex, fieldSeq),
		}},
		{s.mileposts, []mongo.IndexModel{index(updatedIndex, fieldUpdated, fieldID)}},
	} {
		s.opts.Progress("building the indexes of " + c.in.Name())
		if _, err := c.in.Indexes().CreateMany(ctx, c.indexes); err != nil {
			return storeError(ctx, "building the indexes of "+c.in.Name(), err)
		}
	}
	return s.prepare(ctx)
}

// prepare makes the counter and the collections that transactions write, so
// that none of them is created inside one.
func (s *Store) prepare(ctx context.Context) error {
	for id, field := range map[string]string{metaFeed: "n", metaStamp: "hi"} {
		_, err := s.meta.UpdateByID(ctx, id,
			bson.D{{Key: "$setOnInsert", Value: bson.D{{Key: field, Value: int64(0)}}}},
			options.UpdateOne().SetUpsert(true))
		if err != nil && !isDuplicate(err) {
			return storeError(ctx, "preparing the database", err)
		}
	}
	_, err := s.guards.UpdateByID(ctx, int32(0),
		bson.D{{Key: "$setOnInsert", Value: bson.D{{Key: fieldRevision, Value: int64(0)}}}},
		options.UpdateOne().SetUpsert(true))
	if err != nil && !isDuplicate(err) {
		return storeError(ctx, "preparing the database", err)
	}
	return nil
}
