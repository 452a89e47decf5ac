package localstore_test

import (
	"testing"

	"github.com/fieldseal/fieldseal/repository/localstore"
	"github.com/fieldseal/fieldseal/repository/repositorytest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	repositorytest.TestStore(t, openTemp)
	repositorytest.TestTable(t, openTemp)
}

func openTemp(t *testing.T) repositorytest.Opened {
	return opened(t, localstore.Options{Dir: t.TempDir(), Ballast: -1, MemTable: 1 << 20})
}

func opened(t *testing.T, o localstore.Options) repositorytest.Opened {
	t.Helper()
	return repositorytest.Reopening(t, false, func(t *testing.T) *localstore.Store { return open(t, o) })
}

func open(t testing.TB, o localstore.Options) *localstore.Store {
	t.Helper()
	s, err := localstore.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}
