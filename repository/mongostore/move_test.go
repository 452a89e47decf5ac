package mongostore_test

import (
	"context"
	"sync"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/mongostore"
	"github.com/fieldseal/fieldseal/repository/repositorytest"
)

func TestMove(t *testing.T) {
	t.Parallel()
	uri(t)
	repositorytest.TestMove(t, movable)
}

func movable(t *testing.T) repositorytest.Movable {
	o := newOptions(t)
	var s *mongostore.Store
	return repositorytest.Movable{
		Open: func(t *testing.T) (_ repositorytest.Opened, err error) {
			if s, err = mongostore.Open(t.Context(), o); err != nil {
				return repositorytest.Opened{}, err
			}
			return repositorytest.Opened{Store: s, Purger: s, Table: s.Table, Slow: true}, nil
		},
		Close: func(t *testing.T) {
			if err := s.Close(); err != nil {
				t.Fatalf("Close: %v", err)
			}
		},
		Source: func(ctx context.Context) (repositorytest.Source, error) { return mongostore.OpenSource(ctx, o) },
		Target: func(ctx context.Context, source string) (repositorytest.Target, error) {
			return mongostore.OpenImport(ctx, o, []byte(source))
		},
	}
}

// The database may still list the connections of a server that has just ended.
func TestMoveWaitsForAServerThatEnds(t *testing.T) {
	t.Parallel()
	o := newOptions(t)
	node := open(t, o)
	var end sync.Once
	mongostore.Watch(&o, func(command string, _ bson.Raw) {
		if command == "currentOp" {
			end.Do(func() { go node.Close() })
		}
	})
	from, err := mongostore.OpenSource(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	if err := from.Fence(t.Context()); err != nil {
		t.Error(err)
	}
}

// A node that was overlooked writes no record into a database that is being
// moved, and none starts on it until the move is given up.
func TestFencedDatabaseTakesNoCommit(t *testing.T) {
	t.Parallel()
	o := newOptions(t)
	node := open(t, o)
	write := repository.Batch{Writes: []repository.Write{{Record: repository.Record{
		Key: repository.Key{Type: "Patient"}, Version: 1, Body: []byte("sealed"),
	}}}}
	mongostore.SetFence(t, node, true)
	if _, err := node.Commit(t.Context(), write); err == nil {
		t.Fatal("a commit passed the fence")
	}
	if s, err := mongostore.Open(t.Context(), o); err == nil {
		s.Close()
		t.Fatal("a server started on a fenced database")
	}
	mongostore.SetFence(t, node, false)
	if _, err := node.Commit(t.Context(), write); err != nil {
		t.Fatalf("after the fence is gone: %v", err)
	}
}
