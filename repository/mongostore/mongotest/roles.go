package mongotest

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// Role is one role of deploy/mongodb/roles.js.
type Role struct {
	On   string              `json:"on"`   // "data" or "keystore"
	With string              `json:"with"` // another role that it has too
	May  map[string][]string `json:"may"`  // actions by collection; "" is the database
}

// Roles reads the script.
func Roles(t testing.TB, script string) map[string]Role {
	t.Helper()
	b, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	_, b, ok := bytes.Cut(b, []byte("// privileges: begin\nconst roles = "))
	b, _, end := bytes.Cut(b, []byte(";\n// privileges: end"))
	roles := map[string]Role{}
	if err := json.Unmarshal(b, &roles); err != nil || !ok || !end {
		t.Fatalf("the privileges in %s are no JSON: %v", script, err)
	}
	return roles
}

// Root is a user of Grant that may do everything.
const Root = "root"

// Grant does what the script does and gives each role a user of its own, named
// like the role, with the password "secret"; and makes Root.
func Grant(t testing.TB, uri string, roles map[string]Role, databases map[string]string) {
	t.Helper()
	client, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Disconnect(t.Context())
	run := func(command bson.D) {
		t.Helper()
		if err := client.Database("admin").RunCommand(t.Context(), command).Err(); err != nil {
			t.Fatal(err)
		}
	}
	user := func(name, role string) {
		run(bson.D{{Key: "createUser", Value: name}, {Key: "pwd", Value: "secret"},
			{Key: "roles", Value: bson.A{bson.D{{Key: "role", Value: role}, {Key: "db", Value: "admin"}}}}})
	}
	user(Root, "root")
	made := map[string]bool{}
	for len(made) < len(roles) { // those that others have first
		for name, r := range roles {
			if made[name] || r.With != "" && !made[r.With] {
				continue
			}
			run(bson.D{{Key: "createRole", Value: name}, {Key: "privileges", Value: r.privileges(databases[r.On])}, {Key: "roles", Value: r.inherited()}})
			user(name, name)
			made[name] = true
		}
	}
}

func (r Role) privileges(database string) (out bson.A) {
	for collection, actions := range r.May {
		out = append(out, bson.D{
			{Key: "resource", Value: bson.D{{Key: "db", Value: database}, {Key: "collection", Value: collection}}},
			{Key: "actions", Value: actions},
		})
	}
	return out
}

func (r Role) inherited() bson.A {
	if r.With == "" {
		return bson.A{}
	}
	return bson.A{bson.D{{Key: "role", Value: r.With}, {Key: "db", Value: "admin"}}}
}

// StartWith is Start with more arguments.
func (s *Server) StartWith(args ...string) error {
	s.args = append(s.args, args...)
	return s.Start()
}

// URIAs leads to the server as a user that Grant made.
func (s *Server) URIAs(user string) string { return s.DatabaseAs(user, "") }

// DatabaseAs leads to a database of the server as a user that Grant made.
func (s *Server) DatabaseAs(user, database string) string {
	return "mongodb://" + user + ":secret@" + s.Address + "/" + database + "?directConnection=true&authSource=admin" + patience
}

// RunCommand sends one command.
func RunCommand(t testing.TB, uri, database string, command bson.D) error {
	t.Helper()
	client, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Disconnect(t.Context())
	return client.Database(database).RunCommand(t.Context(), command).Err()
}

// IsUnauthorized reports whether a server refused for want of a privilege.
func IsUnauthorized(err error) bool {
	var failed mongo.CommandError
	return errors.As(err, &failed) && failed.Code == 13
}

// FindAll reads a collection.
func FindAll(collection string) bson.D { return bson.D{{Key: "find", Value: collection}} }

// DeleteAll removes every document.
func DeleteAll(collection string) bson.D {
	return bson.D{{Key: "delete", Value: collection}, {Key: "deletes", Value: bson.A{
		bson.D{{Key: "q", Value: bson.D{}}, {Key: "limit", Value: 0}}}}}
}

// InsertOne adds a document.
func InsertOne(collection string) bson.D {
	return bson.D{{Key: "insert", Value: collection}, {Key: "documents", Value: bson.A{bson.D{{Key: "b", Value: 1}}}}}
}
