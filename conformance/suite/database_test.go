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
// folder goes on with that folder's root key and chain of audit events.
func onDatabase(dir, uri string) []string {
	return []string{"--store", uri, "--kek-file", filepath.Join(dir, "kek"), "--node", "n1"}
}
