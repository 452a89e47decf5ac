package oauth_test

import (
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/authz/client"
	"github.com/fieldseal/fieldseal/authz/oauth"
)

// frozenRows is testdata/format/v1: every kind of row, and the secrets that
// open them. They never guarded anything.
type frozenRows struct {
	Code, Refresh, Used, Launch, Secret string
	Rows                                []frozenRow
}

type frozenRow struct {
	Key   []byte
	Value string
}

// What a release stored, every later one opens (docs/format/oauth.md).
func TestFrozenRowsOpen(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/format/v1/rows.json")
	if err != nil {
		t.Fatal(err)
	}
	var f frozenRows
	if err := json.Unmarshal(text, &f); err != nil {
		t.Fatal(err)
	}
	s := newTables()
	kinds := map[string]bool{}
	for _, r := range f.Rows {
		kind, _, _ := strings.Cut(string(r.Key), "/")
		kinds[kind] = true
		if _, err := s.oauth.PutIf(t.Context(), r.Key, []byte(r.Value), 0); err != nil {
			t.Fatal(err)
		}
	}
	if len(kinds) != 9 {
		t.Fatalf("kinds %v", kinds)
	}
	n := open(t, s, func(o *oauth.Options) { o.ConsentLifetime = 30 * 24 * time.Hour })
	if c, err := n.clients.Get(t.Context(), "confidential"); err != nil || !c.SecretMatches(f.Secret) || c.Auth != client.SecretBasic {
		t.Errorf("client %+v %v", c, err)
	}
	if waiting, err := n.clients.Waiting(t.Context()); err != nil || len(waiting) != 1 || waiting[0].Name != "Walk diary" || !waiting[0].SelfRegistered {
		t.Errorf("waiting %+v %v", waiting, err)
	}
	if !recalls(t, n, "app", strings.Fields(appScopes)...) {
		t.Error("the remembered consent is not recalled")
	}
	for _, kid := range []string{"1027961745cb1192", "32c8e15a92172af2"} { // signing/1 without a beginning, signing/2 with one
		if len(n.published().Key(kid)) != 1 {
			t.Errorf("signing key %s does not open", kid)
		}
	}
	if a := n.post("/token", redemption("app", f.Code)); a.status != http.StatusOK || a.text("encounter") != "e1" {
		t.Errorf("code: %d %v", a.status, a.body)
	}
	_, to, _ := n.authorize(launchQuery("launched", f.Launch))
	if a := n.post("/token", redemption("launched", to.Get("code"))); a.status != http.StatusOK || a.text("encounter") != "e1" || a.text("intent") != "reconcile" {
		t.Errorf("launch: %d %v", a.status, a.body)
	}
	if a := n.post("/token", refresh("app", f.Refresh)); a.status != http.StatusOK || a.text("scope") != appScopes {
		t.Errorf("refresh token: %d %v", a.status, a.body)
	}
	n.refused("used refresh token", n.post("/token", refresh("app", f.Used)), http.StatusBadRequest, "invalid_grant")
	if !n.rec.has("failure", "refresh-reuse", "user:dr") {
		t.Error("its use was forgotten")
	}
}
