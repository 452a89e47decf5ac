package localstore_test

import (
	"context"
	"testing"

	"github.com/fieldseal/fieldseal/repository/localstore"
	"github.com/fieldseal/fieldseal/repository/repositorytest"
)

func TestMove(t *testing.T) {
	t.Parallel()
	repositorytest.TestMove(t, movable)
}

func movable(t *testing.T) repositorytest.Movable {
	o := localstore.Options{Dir: t.TempDir(), Ballast: -1, MemTable: 1 << 20}
	var s *localstore.Store
	return repositorytest.Movable{
		Open: func(t *testing.T) (_ repositorytest.Opened, err error) {
			if s, err = localstore.Open(t.Context(), o); err != nil {
				return repositorytest.Opened{}, err
			}
			return repositorytest.Opened{Store: s, Purger: s, Table: s.Table}, nil
		},
		Close: func(t *testing.T) {
			if err := s.Close(); err != nil {
				t.Fatalf("Close: %v", err)
			}
		},
		Source: func(ctx context.Context) (repositorytest.Source, error) { return localstore.Open(ctx, o) },
		Target: func(ctx context.Context, source string) (repositorytest.Target, error) {
			return localstore.OpenImport(ctx, o, []byte(source))
		},
	}
}
