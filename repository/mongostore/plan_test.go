package mongostore_test

import (
	"testing"

	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/mongostore"
)

// TestEveryQueryUsesAnIndex asks the server how it would run each shape of
// query that the engine makes.
func TestEveryQueryUsesAnIndex(t *testing.T) {
	t.Parallel()
	o := newOptions(t)
	t.Cleanup(func() { mongostore.DropDatabase(t, o) })
	s := open(t, o)
	for n := range 50 {
		if _, err := s.Commit(t.Context(), batch(write(n, 0, repository.Token(n%5), repository.Token(100+n)))); err != nil {
			t.Fatal(err)
		}
	}
	whose := repository.Owner{1}
	token := func(ts ...repository.Token) []repository.Token { return ts }
	for name, q := range map[string]repository.Query{
		"type":              {},
		"one token":         {All: [][]repository.Token{token(3)}},
		"one of many":       {All: [][]repository.Token{token(3, 4, 101)}},
		"and":               {All: [][]repository.Token{token(3), token(103, 108)}},
		"owner":             {Owner: &whose},
		"owner and token":   {Owner: &whose, All: [][]repository.Token{token(103)}},
		"updated":           {Since: 1, Until: 5000},
		"updated and token": {Since: 1, All: [][]repository.Token{token(103)}},
		"next page":         {All: [][]repository.Token{token(3)}, After: repository.Cursor(make([]byte, 16))},
	} {
		q.Type, q.Limit = "Patient", 5
		if stages := mongostore.Explain(t, s, q); !stages["IXSCAN"] || stages["COLLSCAN"] {
			t.Errorf("%s: the plan has stages %v", name, stages)
		}
	}
}
