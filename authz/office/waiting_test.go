package office

import (
	"testing"

	"github.com/fieldseal/fieldseal/authz/client"
)

// TestOfficersApproveWhoRegisteredItself: with less than it asked for, never
// with more, and never with roles that the policy lacks.
func TestOfficersApproveWhoRegisteredItself(t *testing.T) {
	t.Parallel()
	d := newDesk(t, true)
	ann := d.officer("user:ann")
	apply := func(c client.Client) string {
		c, err := d.Clients.Apply(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		return c.ID
	}
	app := apply(client.Client{Name: "Diary", Auth: client.Public, Redirects: []string{"https://diary.example/cb"}, Scopes: []string{"launch/patient", "patient/*.rs"}})
	feed := apply(client.Client{Name: "Feed", Auth: client.PrivateKeyJWT, KeysURL: "https://feed.example/jwks", Scopes: []string{"system/*.rs"}})
	if all, err := do[[]client.Client](d, ann, "client/waiting", struct{}{}); err != nil || len(all) != 2 {
		t.Fatalf("%+v %v", all, err)
	}
	for name, bad := range map[string]client.Client{
		"more than it asked for": {ID: app, Scopes: []string{"patient/*.cruds"}},
		"administration":         {ID: app, Scopes: []string{"fieldseal/admin"}},
		"roles of an app":        {ID: app, Roles: []string{"role:integration"}},
		"a service without any":  {ID: feed},
		"a role that nobody has": {ID: feed, Roles: []string{"role:ghost"}},
		"unknown":                {ID: "self-nobody"},
	} {
		if _, err := do[ClientSecret](d, ann, "client/approve", ClientRequest{bad}); !isRefused(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := do[ClientSecret](d, ann, "client/approve", ClientRequest{client.Client{ID: app, Scopes: []string{"patient/Patient.r"}}}); err != nil {
		t.Fatal(err)
	}
	if c, err := d.Clients.Get(t.Context(), app); err != nil || len(c.Scopes) != 1 {
		t.Errorf("%+v %v", c, err)
	}
	if _, err := do[ClientSecret](d, ann, "client/reject", ClientRequest{client.Client{ID: feed}}); err != nil {
		t.Fatal(err)
	}
	var done int
	for _, e := range d.trail.events {
		if s := e.Event.Subtype; len(e.Event.Entities) == 1 && (s == "client-approve" && e.Event.Entities[0].ID == app || s == "client-reject" && e.Event.Entities[0].ID == feed) {
			done++
		}
	}
	if done < 2 {
		t.Errorf("events of approval and rejection: %d", done)
	}
}
