package mongostore_test

import (
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/mongostore"
)

// commands keeps one command of each shape that a store sent, and how many of
// each name.
type commands struct {
	mu     sync.Mutex
	shapes map[string]bson.Raw
	counts map[string]int
}

// watched opens a new database and keeps what is sent to it.
func watched(t *testing.T) (*mongostore.Store, *commands) {
	t.Helper()
	o := newOptions(t)
	now := time.Now() // stands still, so that no stamp is reserved again
	o.Now, o.MaxSkew = func() time.Time { return now }, time.Hour
	c := &commands{shapes: map[string]bson.Raw{}, counts: map[string]int{}}
	mongostore.Watch(&o, c.told)
	return open(t, o), c
}

func (c *commands) told(name string, command bson.Raw) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[name]++
	c.shapes[name+" "+shape(command)] = command
}

// shape is a command without its values: names of fields, operators, the
// collection and the index.
func shape(v bson.Raw) (text string) {
	elements, _ := v.Elements()
	for _, e := range elements {
		key := e.Key()
		switch key {
		case "lsid", "txnNumber", "startTransaction", "autocommit", "$db", "$clusterTime", "$readPreference",
			"readConcern", "writeConcern", "maxTimeMS":
			continue
		}
		switch val := e.Value(); val.Type {
		case bson.TypeEmbeddedDocument:
			text += key + "{" + shape(val.Document()) + "} "
		case bson.TypeArray:
			text += key + "[" + shape(bson.Raw(val.Array())) + "] "
		case bson.TypeString:
			text += key + "=" + val.StringValue() + " "
		default:
			text += key + " "
		}
	}
	return text
}

// askEverything uses every method of a store, each with every shape of query.
func askEverything(t *testing.T, s *mongostore.Store) {
	t.Helper()
	ctx := t.Context()
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var ws []repository.Write
	for n := range 300 { // more than lies between two mileposts
		ws = append(ws, write(n, 0, repository.Token(n%5), repository.Token(100+n)))
	}
	must(s.Commit(ctx, batch(ws...)))
	guards, err := s.Guards(ctx, []repository.Token{7})
	must(nil, err)
	mixed := batch(write(1, 1, 3), write(301, 0, 3))
	mixed.Expect, mixed.Bump = guards, []repository.Token{8}
	must(s.Commit(ctx, mixed))
	whose := repository.Owner{1}
	token := func(ts ...repository.Token) []repository.Token { return ts }
	for _, q := range []repository.Query{
		{},
		{All: [][]repository.Token{token(3)}},
		{All: [][]repository.Token{token(3, 4, 101)}},
		{All: [][]repository.Token{token(3), token(103, 108)}},
		{Owner: &whose},
		{Owner: &whose, All: [][]repository.Token{token(103)}},
		{Since: 1, Until: 5000},
		{Since: 1},
		{Since: 1, Owner: &whose},
		{Since: 1, All: [][]repository.Token{token(103)}},
		{All: [][]repository.Token{token(3)}, After: repository.Cursor(make([]byte, 16))},
	} {
		q.Type, q.Limit = "Patient", 5
		must(s.Find(ctx, q))
		must(s.Count(ctx, q, 100))
	}
	must(s.Estimate(ctx, "Patient", token(3)))
	must(s.Estimate(ctx, "Patient", token(3, 4)))
	must(s.Get(ctx, key(1)))
	must(s.GetVersion(ctx, key(1), 1))
	must(s.Gather(ctx, []repository.Wanted{{Key: key(1)}, {Key: key(2), Version: 1000}}))
	must(s.History(ctx, repository.HistoryRange{Key: key(1), Limit: 5}))
	must(s.Since(ctx, 1))
	for _, err := range s.Changes(ctx, "") {
		must(nil, err)
	}
	for _, err := range s.ChangesBefore(ctx, "") {
		must(nil, err)
	}
	for _, err := range s.Export(ctx, "") {
		must(nil, err)
	}
	must(s.Marks(ctx))
	must(s.Retoken(ctx, []repository.Retoken{{Key: key(2), Version: 1, Tokens: token(9)}}))
	must(s.HoldsOwner(ctx, whose))
	_, _, err = s.PurgeOwner(ctx, whose, 2)
	must(nil, err)
	must(s.Stamp(ctx))
	rows := s.Table("t")
	revision, err := rows.PutIf(ctx, []byte("k"), []byte("v"), 0)
	must(nil, err)
	revision, err = rows.PutIf(ctx, []byte("k"), []byte("w"), revision)
	must(nil, err)
	must(rows.Get(ctx, []byte("k")))
	for _, err := range rows.Scan(ctx, nil) {
		must(nil, err)
	}
	must(nil, rows.DeleteIf(ctx, []byte("k"), revision))
	askLog(t, s)
}

// TestEveryCommandUsesAnIndex asks the server how it would run each shape of
// command that the engine sends, those of writes included.
func TestEveryCommandUsesAnIndex(t *testing.T) {
	t.Parallel()
	s, sent := watched(t)
	askEverything(t, s)
	sent.mu.Lock()
	shapes := maps.Clone(sent.shapes)
	sent.mu.Unlock()
	explained := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(shapes)) {
		command := shapes[name]
		for kind, questions := range questions(t, command) {
			for _, q := range questions {
				what := kind + " " + shape(q)
				if explained[what] {
					continue
				}
				explained[what] = true
				stages := mongostore.Explain(t, s, q)
				if stages["COLLSCAN"] || !stages["IXSCAN"] && !stages["IDHACK"] && !stages["EXPRESS_IXSCAN"] {
					t.Errorf("%s: the plan has stages %v", what, slices.Sorted(maps.Keys(stages)))
				}
			}
		}
	}
	t.Logf("%d shapes of commands", len(explained))
	if len(explained) < 30 {
		t.Errorf("%d shapes of commands were explained", len(explained))
	}
}

// questions are the commands to explain in place of one: itself, or a find with
// the filter of each of its changes, which every server can explain.
func questions(t *testing.T, command bson.Raw) map[string][]bson.Raw {
	t.Helper()
	elements, err := command.Elements()
	if err != nil {
		t.Fatal(err)
	}
	name, in := elements[0].Key(), ""
	if in, _ = elements[0].Value().StringValueOK(); in == "probe" {
		return nil
	}
	changes := map[string]string{"update": "updates", "delete": "deletes"}
	switch name {
	case "find", "aggregate", "findAndModify":
		return map[string][]bson.Raw{name: {command}}
	case "update", "delete":
		out := map[string][]bson.Raw{}
		parts, err := command.Lookup(changes[name]).Array().Values()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range parts {
			find := bson.D{{Key: "find", Value: in}, {Key: "filter", Value: p.Document().Lookup("q")}}
			if hint := p.Document().Lookup("hint"); hint.Type != 0 {
				find = append(find, bson.E{Key: "hint", Value: hint})
			}
			q, err := bson.Marshal(find)
			if err != nil {
				t.Fatal(err)
			}
			out[name] = append(out[name], q)
		}
		return out
	case "getMore", "killCursors": // of a find that stands here too
		return nil
	case "hello", "getParameter", "insert", "listCollections", "commitTransaction", "abortTransaction", "createIndexes", "endSessions", "ping":
		return nil
	}
	t.Errorf("a command of an unknown kind: %s", name)
	return nil
}
