package oauth_test

import (
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz/client"
	"github.com/fieldseal/fieldseal/authz/token"
	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/localstore"
	"github.com/fieldseal/fieldseal/repository/mongostore"
	"github.com/fieldseal/fieldseal/repository/mongostore/mongotest"
)

// engine opens the tables of one more node.
type engine func() (oauth, tokens repository.Table)

// onEngines runs a test for two nodes on each engine; with MongoDB each node has
// a connection of its own.
func onEngines(t *testing.T, test func(t *testing.T, s tables, nodes [2]*node)) {
	t.Helper()
	t.Parallel()
	for name, open := range map[string]func(*testing.T) engine{"embedded": embedded, "mongodb": mongodb} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			next, s := open(t), newTables()
			var nodes [2]*node
			for i := range nodes {
				at := s
				at.oauth, at.tokens = next()
				nodes[i] = openNode(t, at)
			}
			test(t, s, nodes)
		})
	}
}

func openNode(t *testing.T, s tables) *node { t.Helper(); return open(t, s, nil) }

func embedded(t *testing.T) engine {
	t.Helper()
	s, err := localstore.Open(t.Context(), localstore.Options{Dir: t.TempDir(), MinFree: 1, Ballast: -1, MemTable: 1 << 20, BlockCache: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return func() (repository.Table, repository.Table) { return s.Table("oauth"), s.Table("tokens") }
}

func mongodb(t *testing.T) engine {
	t.Helper()
	uri := mongotest.URI(t)
	database := mongotest.Database(t, uri)
	return func() (repository.Table, repository.Table) {
		s, err := mongostore.Open(t.Context(), mongostore.Options{URI: uri, Database: database, MaxSkew: time.Hour, Timeout: 2 * time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s.Table("oauth"), s.Table("tokens")
	}
}

// together asks 32 times at once, on both nodes, and returns the one success;
// all others are refused with the code.
func together(t *testing.T, code string, ask func(i int) answer) (won answer) {
	t.Helper()
	var wg sync.WaitGroup
	answers := make([]answer, 32)
	for i := range answers {
		wg.Go(func() { answers[i] = ask(i) })
	}
	wg.Wait()
	good := 0
	for _, a := range answers {
		switch {
		case a.text("error") == "":
			good, won = good+1, a
		case a.text("error") != code:
			t.Errorf("%d %v", a.status, a.body)
		}
	}
	if good != 1 {
		t.Errorf("%d successes", good)
	}
	return won
}

// access.md, SMART 3: of 32 redemptions at once one succeeds; that the code came
// again ends its tokens.
func TestEnginesRedeemACodeOnce(t *testing.T) {
	onEngines(t, func(t *testing.T, s tables, nodes [2]*node) {
		nodes[0].app("app", client.Public)
		form := redemption("app", nodes[0].code("app", appScopes))
		won := together(t, "invalid_grant", func(i int) answer { return nodes[i%2].post("/token", form) })
		s.clock.Advance(token.CacheTTL)
		nodes[0].refused("once more", nodes[1].post("/token", form), http.StatusBadRequest, "invalid_grant")
		s.clock.Advance(token.CacheTTL)
		for _, n := range nodes {
			if n.valid(won.text("access_token")) {
				t.Error("the token of a code that came twice is in force")
			}
			n.refused("its refresh token", n.post("/token", refresh("app", won.text("refresh_token"))), http.StatusBadRequest, "invalid_grant")
		}
		if !s.rec.has("failure", "code-reuse", "user:dr") {
			t.Error("no event")
		}
	})
}

func TestEnginesRefreshOnce(t *testing.T) {
	onEngines(t, func(t *testing.T, _ tables, nodes [2]*node) {
		nodes[0].app("app", client.Public)
		form := refresh("app", nodes[0].granted("app", appScopes).text("refresh_token"))
		together(t, "invalid_grant", func(i int) answer { return nodes[i%2].post("/token", form) })
	})
}

// access.md, SMART 7; abuse 31.
func TestEnginesTakeAnAssertionOnce(t *testing.T) {
	onEngines(t, func(t *testing.T, _ tables, nodes [2]*node) {
		nodes[0].service("lab", bothKeys()...)
		form := serviceForm(nodes[0].goodAssertion("lab").sign(t), "system/Patient.r")
		together(t, "invalid_client", func(i int) answer { return nodes[i%2].post("/token", form) })
	})
}

// access.md, SMART 4: one use.
func TestEnginesLaunchOnce(t *testing.T) {
	onEngines(t, func(t *testing.T, s tables, nodes [2]*node) {
		bearer := nodes[0].launchable("app")
		q := launchQuery("app", nodes[0].value(bearer, goodLaunch))
		won := together(t, "invalid_request", func(i int) answer {
			status, to, _ := nodes[i%2].authorize(q)
			return answer{status: status, body: map[string]any{"code": to.Get("code"), "error": to.Get("error")}}
		})
		if a := nodes[1].post("/token", redemption("app", won.text("code"))); a.status != http.StatusOK || a.text("encounter") != "e1" {
			t.Errorf("%d %v", a.status, a.body)
		}
		if !s.rec.has("failure", "launch-reuse", "user:dr") {
			t.Error("no event")
		}
	})
}

// abuse 39: a refresh token that is used in two networks ends its family on
// every node, and the trail has both addresses.
func TestEnginesEndAFamilyUsedInTwoNetworks(t *testing.T) {
	onEngines(t, func(t *testing.T, s tables, nodes [2]*node) {
		nodes[0].app("app", client.Public)
		first := nodes[0].granted("app", appScopes)
		form := refresh("app", first.text("refresh_token"))
		second := nodes[0].post("/token", form, from("198.51.100.7"))
		if second.status != http.StatusOK {
			t.Fatalf("%d %v", second.status, second.body)
		}
		nodes[1].refused("another network", nodes[1].post("/token", form, from("203.0.113.9")), http.StatusBadRequest, "invalid_grant")
		s.clock.Advance(token.CacheTTL)
		for _, n := range nodes {
			n.refused("the newest token", n.post("/token", refresh("app", second.text("refresh_token"))), http.StatusBadRequest, "invalid_grant")
			for _, a := range []answer{first, second} {
				if n.valid(a.text("access_token")) {
					t.Error("an access token of the family is in force")
				}
			}
		}
		refreshed, reused := addresses(s.rec, "token-refresh", ""), addresses(s.rec, "failure", "refresh-reuse")
		if len(refreshed) != 1 || refreshed[0] != "198.51.100.7" || len(reused) != 1 || reused[0] != "203.0.113.9" {
			t.Errorf("refreshed from %v, reused from %v", refreshed, reused)
		}
	})
}

// addresses are those of the events of a kind.
func addresses(r *recorder, subtype, reason string) (out []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if e.Kind == audit.Login && e.Subtype == subtype && e.Reason == reason {
			out = append(out, e.Agent.Address)
		}
	}
	return out
}

// access.md, SMART 11; abuse 35: what one node revokes, another refuses five
// seconds later.
func TestEnginesRevokeOnEveryNode(t *testing.T) {
	onEngines(t, func(t *testing.T, s tables, nodes [2]*node) {
		nodes[0].app("app", client.Public)
		got := nodes[0].granted("app", appScopes)
		if !nodes[0].valid(got.text("access_token")) || !nodes[1].valid(got.text("access_token")) {
			t.Fatal("not in force")
		}
		nodes[0].post("/revoke", url.Values{"client_id": {"app"}, "token": {got.text("refresh_token")}})
		s.clock.Advance(5 * time.Second)
		for _, n := range nodes {
			if n.valid(got.text("access_token")) {
				t.Error("it is in force")
			}
			n.refused("refresh", n.post("/token", refresh("app", got.text("refresh_token"))), http.StatusBadRequest, "invalid_grant")
		}
	})
}
