package suite

import (
	"path/filepath"
	"testing"

	"github.com/fieldseal/fieldseal/repository/mongostore/mongotest"
)

// startDatabase runs an empty database process until the test ends; what it
// acknowledged survives kill -9.
func startDatabase(t testing.TB) *mongotest.Server {
	t.Helper()
	return mongotest.New(t, "--sync-on-commit")
}

// databaseURI leads to a database by name.
func databaseURI(s *mongotest.Server, name string) string {
	return "mongodb://" + s.Address + "/" + name + "?directConnection=true"
}

// onDatabase are the arguments by which a server that was moved from a data
// folder goes on with that folder's root key. The folder's chain of audit events
// is history there, so that the node has a name of its own.
func onDatabase(dir, uri string) []string {
	return []string{"--store", uri, "--kek-file", filepath.Join(dir, "kek"), "--node", "m1"}
}
