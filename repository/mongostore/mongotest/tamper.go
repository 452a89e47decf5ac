package mongotest

import (
	"context"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// Collection is what someone with all rights on the database can do to it.
type Collection struct {
	t  testing.TB
	in *mongo.Collection
}

// Open opens a collection behind the product's back, until the test ends.
func Open(t testing.TB, uri, database, name string) *Collection {
	t.Helper()
	client, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		client.Disconnect(ctx)
	})
	return &Collection{t, client.Database(database).Collection(name)}
}

// Put replaces or inserts a document.
func (c *Collection) Put(id string, fields map[string]any) {
	c.t.Helper()
	_, err := c.in.ReplaceOne(c.t.Context(), bson.M{"_id": id}, fields, options.Replace().SetUpsert(true))
	if err != nil {
		c.t.Fatal(err)
	}
}

// Delete removes a document.
func (c *Collection) Delete(id string) {
	c.t.Helper()
	if r, err := c.in.DeleteOne(c.t.Context(), bson.M{"_id": id}); err != nil || r.DeletedCount != 1 {
		c.t.Fatalf("deleted %v: %v", r, err)
	}
}
