package mongotest

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// URI is a server for one test: the one that the environment names, or one that
// is started. Without either the test is skipped.
func URI(t testing.TB) string {
	t.Helper()
	if uri := os.Getenv(URIVariable); uri != "" {
		return uri
	}
	return New(t).URI()
}

var databases atomic.Int64

// Database is the name of a database that the test has for itself. It is
// dropped when the test ends.
func Database(t testing.TB, uri string) string {
	t.Helper()
	name := fmt.Sprintf("test_%d_%d", os.Getpid(), databases.Add(1))
	t.Cleanup(func() {
		client, err := mongo.Connect(options.Client().ApplyURI(uri))
		if err != nil {
			t.Error(err)
			return
		}
		ctx := context.Background() // that of the test has ended
		if err := client.Database(name).Drop(ctx); err != nil {
			t.Errorf("dropping %s: %v", name, err)
		}
		_ = client.Disconnect(ctx)
	})
	return name
}
