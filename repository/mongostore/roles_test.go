package mongostore_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/mongostore"
	"github.com/fieldseal/fieldseal/repository/mongostore/mongotest"
	"github.com/fieldseal/fieldseal/repository/repositorytest"
)

const rolesScript = "../../deploy/mongodb/roles.js"

// used are the privileges that commands need, as "collection action"; the
// database itself is the empty collection.
type used struct {
	mu  sync.Mutex
	set map[string]bool
}

func (u *used) told(name string, command bson.Raw) {
	u.mu.Lock()
	defer u.mu.Unlock()
	collection, _ := command.Lookup(name).StringValueOK()
	if name == "getMore" { // that of the command before
		return
	}
	for _, action := range actions(name, command) {
		u.set[strings.TrimSpace(collection+" "+action)] = true
	}
}

func newUsed() *used { return &used{set: map[string]bool{}} }

// free are commands that need no privilege: those of the connection and of a
// transaction, currentOp of one's own, and a question that may be refused.
var free = []string{"hello", "commitTransaction", "abortTransaction", "endSessions", "currentOp", "getParameter"}

func actions(name string, command bson.Raw) []string {
	switch name {
	case "find", "aggregate":
		return []string{"find"}
	case "insert":
		return []string{"insert"}
	case "delete":
		return []string{"remove"}
	case "createIndexes":
		return []string{"createIndex"}
	case "update":
		if values, _ := command.Lookup("updates").Array().Values(); slices.ContainsFunc(values, func(v bson.RawValue) bool {
			upsert, _ := v.Document().Lookup("upsert").BooleanOK()
			return upsert
		}) {
			return []string{"update", "insert"}
		}
		return []string{"update"}
	case "findAndModify":
		return []string{"find", "update"}
	}
	if slices.Contains(free, name) {
		return nil
	}
	return []string{name} // dbStats, listCollections
}

// checkPrivileges compares the script's privileges with the commands of the
// contract: none is missing, none is too many.
func checkPrivileges(t *testing.T, sent *used) {
	role := mongotest.Roles(t, rolesScript)["fieldsealData"]
	s := openTold(t, sent).Store.(*mongostore.Store)
	if _, err := s.Stats(t.Context()); err != nil {
		t.Fatal(err)
	}
	tables(t, role, s)
	useLog(t, s)
	sent.set["mileposts update"] = true // an upgrade of format 1
	compare(t, "fieldsealData", role.May, sent.set)
}

// useLog sends what a trail sends.
func useLog(t *testing.T, s *mongostore.Store) {
	t.Helper()
	l, err := s.Log(t.Context(), "trail")
	if err != nil {
		t.Fatal(err)
	}
	_, found := l.Find(t.Context(), repository.LogQuery{To: 9, Limit: 9})
	_, last := l.Last(t.Context(), "a", "b")
	_, listed := l.Range(t.Context(), "a", "b", 9)
	if err := errors.Join(l.Append(t.Context(), []repository.LogEntry{{ID: "c", Time: 1}}), found, listed); err != nil || !errors.Is(last, repository.ErrNotFound) {
		t.Fatal(err, last)
	}
}

func TestPrivilegesOnTheKeystore(t *testing.T) {
	t.Parallel()
	uri(t)
	role := mongotest.Roles(t, rolesScript)["fieldsealKeystore"]
	sent := newUsed()
	s := openTold(t, sent).Store.(*mongostore.Store)
	if _, err := s.Stats(t.Context()); err != nil {
		t.Fatal(err)
	}
	tables(t, role, s)
	compare(t, "fieldsealKeystore", role.May, sent.set)
}

// The script itself gives nothing that could rewrite the past.
func TestNoRoleMayDropOrRewriteTheTrail(t *testing.T) {
	t.Parallel()
	harmless := []string{"find", "insert", "update", "remove", "createIndex", "dbStats", "collStats", "listCollections", "listIndexes"}
	for name, r := range mongotest.Roles(t, rolesScript) {
		for collection, actions := range r.May {
			for _, a := range actions {
				everywhere := collection == "" && (a == "insert" || a == "update" || a == "remove")
				if !slices.Contains(harmless, a) || everywhere || collection == "trail" && (a == "update" || a == "remove") {
					t.Errorf("%s may %s %q", name, a, collection)
				}
			}
		}
	}
}

// The roles on a server that enforces them: everything works that should, and
// what the threat model forbids is refused. The stand-in grants a privilege on a
// collection for its whole database, so that what a role may not do on one
// collection of several is not tried here.
func TestLeastPrivilege(t *testing.T) {
	t.Parallel()
	server := mongotest.New(t, "--sync-on-commit")
	databases := map[string]string{"data": "fs", "keystore": "fs_keystore"}
	mongotest.Grant(t, server.URI(), mongotest.Roles(t, rolesScript), databases)
	server.Kill()
	if err := server.StartWith("--auth"); err != nil {
		t.Fatal(err)
	}
	as := func(role, database string) mongostore.Options {
		return mongostore.Options{URI: server.URIAs(role), Database: database}
	}
	node := open(t, as("fieldsealData", "fs"))
	renamed := map[string]string{"tokens": "tokens", "keys": "holds", "index": "index"}
	o := repositorytest.Opened{Store: node, Purger: node, Table: func(name string) repository.Table { return node.Table(renamed[name]) }}
	repositorytest.Fill(t, o)
	before := repositorytest.Answers(t, o)
	if len(before) < 100 {
		t.Fatalf("%d answers", len(before))
	}
	keys := open(t, as("fieldsealKeystore", "fs_keystore"))
	if _, err := keys.Table("keys").PutIf(t.Context(), []byte("k"), nil, 0); err != nil {
		t.Fatal(err)
	}
	for name, try := range map[string]struct {
		role, database string
		command        bson.D
	}{
		"a node drops a collection":          {"fieldsealData", "fs", bson.D{{Key: "drop", Value: "records"}}},
		"a node drops the database":          {"fieldsealData", "fs", bson.D{{Key: "dropDatabase", Value: 1}}},
		"a node drops an index":              {"fieldsealData", "fs", bson.D{{Key: "dropIndexes", Value: "records"}, {Key: "index", Value: "token"}}},
		"a node's data user reads keys":      {"fieldsealData", "fs_keystore", mongotest.FindAll("table.keys")},
		"a keystore user reads records":      {"fieldsealKeystore", "fs", mongotest.FindAll("records")},
		"a backup of data reads keys":        {"fieldsealBackupData", "fs_keystore", mongotest.FindAll("table.keys")},
		"a backup of data removes":           {"fieldsealBackupData", "fs", mongotest.DeleteAll("records")},
		"a backup of keys reads records":     {"fieldsealBackupKeystore", "fs", mongotest.FindAll("records")},
		"an auditor removes from the trail":  {"fieldsealAuditor", "fs", mongotest.DeleteAll("trail")},
		"an auditor appends to the trail":    {"fieldsealAuditor", "fs", mongotest.InsertOne("trail")},
		"a node appends to system.users":     {"fieldsealData", "admin", mongotest.InsertOne("system.users")},
		"a mover of keys drops a collection": {"fieldsealMoveKeystore", "fs_keystore", bson.D{{Key: "drop", Value: "table.keys"}}},
	} {
		if err := mongotest.RunCommand(t, server.URIAs(try.role), try.database, try.command); !mongotest.IsUnauthorized(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for role, find := range map[string][2]string{"fieldsealBackupData": {"fs", "records"}, "fieldsealAuditor": {"fs", "trail"},
		"fieldsealBackupKeystore": {"fs_keystore", "table.keys"}} {
		if err := mongotest.RunCommand(t, server.URIAs(role), find[0], mongotest.FindAll(find[1])); err != nil {
			t.Errorf("%s reads %s: %v", role, find[1], err)
		}
	}
	if got := repositorytest.Answers(t, o); !slices.Equal(got, before) {
		t.Error("something was changed all the same")
	}
}

// A move sends nothing beyond the roles that are for it.
func TestPrivilegesOfAMove(t *testing.T) {
	t.Parallel()
	uri(t)
	roles := mongotest.Roles(t, rolesScript)
	sent := newUsed()
	moving(t, sent)
	may := union(roles["fieldsealData"].May, roles["fieldsealMoveData"].May)
	may["table.keys"] = may["table.meta"]
	for need := range sent.set {
		if !allowed(may, need) {
			t.Errorf("fieldsealMoveData lacks %q", need)
		}
	}
	may = union(roles["fieldsealKeystore"].May, roles["fieldsealMoveKeystore"].May)
	for need := range sent.set {
		if !allowed(may, need) && need != "records insert" { // a keystore has no records
			t.Errorf("fieldsealMoveKeystore lacks %q", need)
		}
	}
}

func openTold(t *testing.T, u *used) repositorytest.Opened {
	o := newOptions(t)
	mongostore.Watch(&o, u.told)
	return opened(t, o)
}

// tables uses each table that the role names.
func tables(t *testing.T, r mongotest.Role, s *mongostore.Store) {
	t.Helper()
	for collection, may := range r.May {
		name, ok := strings.CutPrefix(collection, "table.")
		if !ok {
			continue
		}
		row := s.Table(name)
		key := []byte("k")
		first, err := row.PutIf(t.Context(), key, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		second, err := row.PutIf(t.Context(), key, nil, first)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := row.Get(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(may, "remove") { // its rows stay, as emergency accesses do
			continue
		}
		if err := row.DeleteIf(t.Context(), key, second); err != nil {
			t.Fatal(err)
		}
	}
}

// moving fills a database and reads it out.
func moving(t *testing.T, u *used) {
	t.Helper()
	o := newOptions(t)
	mongostore.Watch(&o, u.told)
	to, err := mongostore.OpenImport(t.Context(), o, []byte("a"))
	if err != nil {
		t.Fatal(err)
	}
	row := repository.Entry{Kind: repository.RowEntry, Table: "keys", Row: repository.Row{Key: []byte("k"), Revision: 1}}
	version := repository.Entry{Kind: repository.VersionEntry, Position: 1, Record: write(1, 0, 7).Record}
	if err := to.Import(t.Context(), []repository.Entry{version, row}); err != nil {
		t.Fatal(err)
	}
	if err := to.Finish(t.Context(), repository.Marks{Position: 1}); err != nil {
		t.Fatal(err)
	}
	to.Close()
	from, err := mongostore.OpenSource(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	if err := from.Fence(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, err := range from.Export(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func union(a, b map[string][]string) map[string][]string {
	out := maps.Clone(a)
	for collection, actions := range b {
		out[collection] = slices.Concat(out[collection], actions)
	}
	return out
}

func allowed(may map[string][]string, need string) bool {
	collection, action, ok := strings.Cut(need, " ")
	if !ok {
		collection, action = "", need
	}
	return slices.Contains(may[collection], action)
}

func compare(t *testing.T, role string, may map[string][]string, needs map[string]bool) {
	t.Helper()
	for need := range needs {
		if collection, _, _ := strings.Cut(need, " "); may[collection] == nil && strings.HasPrefix(collection, "table.") {
			continue // a table of the contract's own
		}
		if !allowed(may, need) {
			t.Errorf("%s lacks %q", role, need)
		}
	}
	for collection, actions := range may {
		for _, a := range actions {
			if !needs[strings.TrimSpace(collection+" "+a)] {
				t.Errorf("%s has %q on %q, which nothing uses", role, a, collection)
			}
		}
	}
}
