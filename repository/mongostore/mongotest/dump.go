package mongotest

import (
	"slices"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// Contents are the documents of a database by collection.
type Contents map[string][]bson.Raw

// Dump reads the documents of every collection, as mongodump does.
func Dump(t testing.TB, uri, database string) Contents {
	t.Helper()
	out := Contents{}
	inDatabase(t, uri, database, func(db *mongo.Database) error {
		names, err := db.ListCollectionNames(t.Context(), bson.D{})
		for _, name := range names {
			if err != nil {
				return err
			}
			var cur *mongo.Cursor
			if cur, err = db.Collection(name).Find(t.Context(), bson.D{}); err == nil {
				var docs []bson.Raw
				err = cur.All(t.Context(), &docs)
				out[name] = docs
			}
		}
		return err
	})
	return out
}

// Restore replaces the documents of every collection but the kept ones by what
// Dump returned, as mongorestore --drop does with --nsExclude.
func Restore(t testing.TB, uri, database string, dump Contents, keep ...string) {
	t.Helper()
	inDatabase(t, uri, database, func(db *mongo.Database) error {
		names, err := db.ListCollectionNames(t.Context(), bson.D{})
		for _, name := range names {
			if err == nil && !slices.Contains(keep, name) {
				err = db.Collection(name).Drop(t.Context())
			}
		}
		for name, docs := range dump {
			if err == nil && len(docs) > 0 && !slices.Contains(keep, name) {
				_, err = db.Collection(name).InsertMany(t.Context(), docs)
			}
		}
		return err
	})
}

func inDatabase(t testing.TB, uri, database string, do func(*mongo.Database) error) {
	t.Helper()
	client, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Disconnect(t.Context())
	if err := do(client.Database(database)); err != nil {
		t.Fatal(err)
	}
}
