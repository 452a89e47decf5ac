package mongostore_test

import (
	"os"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/repository/mongostore"
	"github.com/fieldseal/fieldseal/repository/mongostore/mongotest"
	"github.com/fieldseal/fieldseal/repository/repositorytest"
)

var shared string // URI of the server that tests share

func TestMain(m *testing.M) {
	if os.Getenv(nodeURI) != "" {
		os.Exit(runNode())
	}
	os.Exit(mongotest.Run(m.Run, &shared))
}

func TestContract(t *testing.T) {
	t.Parallel()
	uri(t)
	sent := newUsed()
	told := func(t *testing.T) repositorytest.Opened { return openTold(t, sent) }
	t.Run("store", func(t *testing.T) { repositorytest.TestStore(t, told) })
	t.Run("table", func(t *testing.T) { repositorytest.TestTable(t, told) })
	t.Run("privileges", func(t *testing.T) { checkPrivileges(t, sent) })
}

func uri(t testing.TB) string {
	t.Helper()
	if shared == "" {
		t.Skip("neither " + mongotest.URIVariable + " nor " + mongotest.ServerVariable + " is set; .ci/run mongodb does it")
	}
	return shared
}

// ample is a timeout that no busy machine reaches.
const ample = 2 * time.Minute

// newOptions are those of a database of the test's own.
func newOptions(t testing.TB) mongostore.Options {
	t.Helper()
	return mongostore.Options{URI: uri(t), Database: mongotest.Database(t, uri(t)), Timeout: ample}
}

func opened(t *testing.T, o mongostore.Options) repositorytest.Opened {
	t.Helper()
	return repositorytest.Reopening(t, os.Getenv(mongotest.URIVariable) == "", func(t *testing.T) *mongostore.Store { return open(t, o) })
}

func open(t testing.TB, o mongostore.Options) *mongostore.Store {
	t.Helper()
	s, err := mongostore.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}
