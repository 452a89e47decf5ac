package mongotest

import (
	"reflect"
	"testing"
)

// TestCopiesOfDatabases: what Dump returned is what Restore makes of another
// database, but for the collections that it keeps, and Drop leaves nothing.
func TestCopiesOfDatabases(t *testing.T) {
	uri := URI(t)
	from, to := Database(t, uri), Database(t, uri)
	for database, collections := range map[string][]string{from: {"a", "b"}, to: {"b", "kept"}} {
		for _, collection := range collections {
			if err := RunCommand(t, uri, database, InsertOne(collection)); err != nil {
				t.Fatal(err)
			}
		}
	}
	kept := Dump(t, uri, to)["kept"]
	source := Dump(t, uri, from)
	Restore(t, uri, to, source, "kept")
	want := Contents{"a": source["a"], "b": source["b"], "kept": kept}
	if got := Dump(t, uri, to); len(kept) != 1 || len(source) != 2 || !reflect.DeepEqual(got, want) {
		t.Errorf("%v became %v, with %v kept", source, got, kept)
	}
	if err := Drop(uri, from, to); err != nil {
		t.Fatal(err)
	}
	for _, database := range []string{from, to} {
		for collection, documents := range Dump(t, uri, database) {
			t.Errorf("%s.%s is left, with %d documents", database, collection, len(documents))
		}
	}
}
