package oauth_test

import (
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/authz/client"
	"github.com/fieldseal/fieldseal/authz/oauth"
	"github.com/fieldseal/fieldseal/repository"
)

// rememberedRows are the rows of consents that are remembered.
func (n *node) rememberedRows() (rows []repository.Row) {
	n.t.Helper()
	for stored, err := range n.table.Scan(n.t.Context(), []byte("remembered/")) {
		n.must(err)
		rows = append(rows, stored)
	}
	return rows
}

func recalls(t *testing.T, n *node, id string, scopes ...string) bool {
	t.Helper()
	n.person.ShowPage(true)
	defer n.person.ShowPage(false)
	n.authorize(authorizeQuery(id, appScopes))
	asked := n.person.Asked()
	known, err := asked[len(asked)-1].Memory.Recall(t.Context(), "user:dr", "p1", scopes)
	n.must(err)
	return known
}

// Who can write the table but has no key can neither widen, prolong nor move a
// consent that is remembered, and learns neither person nor patient from it.
func TestRememberedConsentWrittenIntoTheTableIsRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(value string) string{
		"wider scopes":   func(v string) string { return strings.Replace(v, "patient/Patient.rs", "patient/*.cruds", 1) },
		"another client": func(v string) string { return strings.Replace(v, `"client":"app"`, `"client":"two"`, 1) },
		"a longer life":  func(v string) string { return strings.Replace(v, `"since":1`, `"since":2`, 1) },
		"no sum":         func(v string) string { return v[:strings.Index(v, `"sum":`)] + `"sum":""}` },
		"a later format": func(v string) string { return strings.Replace(v, `"format":1`, `"format":2`, 1) },
		"nothing":        func(v string) string { return v },
	} {
		n := open(t, newTables(), func(o *oauth.Options) { o.ConsentLifetime = time.Hour })
		n.app("app", client.Public)
		n.granted("app", appScopes)
		rows := n.rememberedRows()
		if len(rows) != 1 || strings.Contains(string(rows[0].Value), "p1") || strings.Contains(string(rows[0].Key)+string(rows[0].Value), "dr") {
			t.Fatalf("%s: %d rows", name, len(rows))
		}
		altered := change(string(rows[0].Value))
		if altered == string(rows[0].Value) && name != "nothing" {
			t.Fatalf("%s: nothing changed", name)
		}
		_, err := n.table.PutIf(t.Context(), rows[0].Key, []byte(altered), rows[0].Revision)
		n.must(err)
		if got := recalls(t, n, "app", "patient/Patient.rs"); got != (name == "nothing") {
			t.Errorf("%s: recalled %v", name, got)
		}
	}
}

func TestRememberedConsentIsOfOneAccountAndSwept(t *testing.T) {
	t.Parallel()
	n := open(t, newTables(), func(o *oauth.Options) { o.ConsentLifetime = time.Hour })
	n.app("app", client.Public)
	n.app("two", client.Public)
	n.granted("app", appScopes)
	n.granted("app", appScopes)
	n.granted("two", appScopes)
	if rows := n.rememberedRows(); len(rows) != 2 {
		t.Fatalf("%d rows", len(rows))
	}
	if recalls(t, n, "app") || !recalls(t, n, "app", "openid", "patient/Patient.r") || recalls(t, n, "app", "online_access") {
		t.Error("what is recalled is not what was granted")
	}
	moved := n.rememberedRows()[0]
	key := strings.Replace(string(moved.Key), "remembered/", "remembered/00", 1)
	_, err := n.table.PutIf(t.Context(), []byte(key), moved.Value, 0)
	n.must(err)
	n.must(n.EndApp(t.Context(), "user:dr", "app"))
	if recalls(t, n, "app", "openid") || !recalls(t, n, "two", "openid") {
		t.Error("the wrong app was ended")
	}
	n.clock.Advance(time.Hour)
	if _, err := n.Sweep(t.Context()); err != nil || len(n.rememberedRows()) != 0 {
		t.Errorf("rows stay: %d %v", len(n.rememberedRows()), err)
	}
}
