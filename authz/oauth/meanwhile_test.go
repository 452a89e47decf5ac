package oauth_test

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/authz/client"
	"github.com/fieldseal/fieldseal/authz/token"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/repository"
)

// before is a table that calls something else before each operation.
type before struct {
	repository.Table
	call *func()
}

func (b before) Get(ctx context.Context, key []byte) (repository.Row, error) {
	(*b.call)()
	return b.Table.Get(ctx, key)
}

func (b before) PutIf(ctx context.Context, key, value []byte, revision uint64) (uint64, error) {
	(*b.call)()
	return b.Table.PutIf(ctx, key, value, revision)
}

func (b before) DeleteIf(ctx context.Context, key []byte, revision uint64) error {
	(*b.call)()
	return b.Table.DeleteIf(ctx, key, revision)
}

func (b before) Scan(ctx context.Context, prefix []byte) iter.Seq2[repository.Row, error] {
	(*b.call)()
	return b.Table.Scan(ctx, prefix)
}

// TestFamilyThatEndsMeanwhile: before whichever operation of a request its code
// or refresh token comes again on another node, or the account's families end,
// the request is refused or gives a token that is not in force.
func TestFamilyThatEndsMeanwhile(t *testing.T) {
	t.Parallel()
	ends := map[string]func(*node, url.Values){
		"reuse": func(n *node, form url.Values) { n.post("/token", form) },
		"end": func(n *node, _ url.Values) {
			_, err := n.EndGrants(n.t.Context(), "user:dr")
			n.must(err)
		},
	}
	for name, end := range ends {
		for secret, form := range map[string]func(n *node) url.Values{
			"code":    func(n *node) url.Values { return redemption("app", n.code("app", appScopes)) },
			"refresh": func(n *node) url.Values { return refresh("app", n.granted("app", appScopes).text("refresh_token")) },
		} {
			t.Run(name+" of a "+secret, func(t *testing.T) {
				t.Parallel()
				for at, more := 1, true; more; at++ {
					more = endsBefore(t, at, form, end)
				}
			})
		}
	}
}

// endsBefore ends a family before operation at of a token request, and reports
// whether there was one.
func endsBefore(t *testing.T, at int, prepare func(*node) url.Values, end func(*node, url.Values)) bool {
	s, call, count := newTables(), func() {}, 0
	other := open(t, s, nil)
	other.app("app", client.Public)
	form := prepare(other)
	s.oauth, s.tokens = before{s.oauth, &call}, before{s.tokens, &call}
	n := open(t, s, nil)
	call = func() {
		if count++; count == at {
			end(other, form)
		}
	}
	a := n.post("/token", form)
	call = func() {}
	what := fmt.Sprintf("operation %d: %d %v", at, a.status, a.body)
	switch a.text("error") {
	case "":
		if valid := other.valid(a.text("access_token")); valid == (count >= at) {
			t.Errorf("%s, its token in force: %v", what, valid)
		}
	case "invalid_grant":
		if count < at {
			t.Errorf("%s, though nothing ended", what)
		}
	default:
		t.Error(what)
	}
	return count >= at
}

// TestReuseWithoutAStoreIsNoQuietRefusal: a client is not told that its code or
// refresh token is used while what it gave goes on.
func TestReuseWithoutAStoreIsNoQuietRefusal(t *testing.T) {
	t.Parallel()
	s := newTables()
	n := open(t, s, nil)
	n.app("app", client.Public)
	form := redemption("app", n.code("app", appScopes))
	first := n.post("/token", form)
	second := refresh("app", first.text("refresh_token"))
	got := n.post("/token", second)
	for name, again := range map[string]url.Values{"code": form, "refresh token": second} {
		table := s.oauth.(*keyringtest.Table)
		table.SetFault(func(op keyringtest.Op, key []byte) error {
			if op == keyringtest.BeforePut && strings.HasPrefix(string(key), "grant/") {
				return repository.ErrUnavailable
			}
			return nil
		})
		n.refused(name, n.post("/token", again), http.StatusServiceUnavailable, "temporarily_unavailable")
		table.SetFault(nil)
	}
	n.refused("again", n.post("/token", form), http.StatusBadRequest, "invalid_grant")
	s.clock.Advance(token.CacheTTL)
	if n.valid(got.text("access_token")) {
		t.Error("the family is in force")
	}
}
