package mongotest

import (
	"context"
	"errors"
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
		if err := Drop(uri, name); err != nil {
			t.Errorf("dropping %s: %v", name, err)
		}
	})
	return name
}

// Drop removes databases that tests made.
func Drop(uri string, databases ...string) error {
	if len(databases) == 0 {
		return nil
	}
	client, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		return err
	}
	ctx := context.Background() // that of a test that ends is canceled
	for _, name := range databases {
		err = errors.Join(err, client.Database(name).Drop(ctx))
	}
	return errors.Join(err, client.Disconnect(ctx))
}
