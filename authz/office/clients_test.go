package office

import (
	"errors"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz/client"
)

// TestOfficersLookAfterClients: register, show, list, another secret, disable;
// each an event, no answer but one with a secret.
func TestOfficersLookAfterClients(t *testing.T) {
	t.Parallel()
	d := newDesk(t, true)
	ann := d.officer("user:ann")
	app := client.Client{ID: "app", Name: "App", Auth: client.SecretBasic, Redirects: []string{"https://app.example/cb"}, Scopes: []string{"patient/*.rs", "launch/patient"}}
	added, err := do[ClientSecret](d, ann, "client/add", ClientRequest{app})
	if err != nil || added.Secret == "" {
		t.Fatal(added, err)
	}
	rotated, err := do[ClientSecret](d, ann, "client/rotate-secret", ClientRequest{client.Client{ID: "app"}})
	if err != nil || rotated.Secret == "" || rotated.Secret == added.Secret {
		t.Error(rotated, err)
	}
	shown, err := do[client.Client](d, ann, "client/show", ClientRequest{client.Client{ID: "app"}})
	if err != nil || shown.Name != "App" || shown.SecretHash != nil {
		t.Errorf("%+v %v", shown, err)
	}
	if all, err := do[[]client.Client](d, ann, "client/list", struct{}{}); err != nil || len(all) != 1 || all[0].SecretHash != nil {
		t.Errorf("%+v %v", all, err)
	}
	if ended, err := do[ClientEnded](d, ann, "client/disable", ClientRequest{client.Client{ID: "app"}}); err != nil || ended.Tokens != 2 {
		t.Errorf("%+v %v", ended, err)
	}
	if k, err := do[SigningKey](d, ann, "client/rotate-signing-key", struct{}{}); err != nil || k.ID != "k2" {
		t.Errorf("%+v %v", k, err)
	}
	var done []string
	for _, e := range d.trail.events {
		if len(e.Event.Entities) == 1 && e.Event.Entities[0].ID == "app" {
			done = append(done, e.Event.Subtype)
		}
		if strings.Contains(e.Event.Reason, added.Secret) {
			t.Error("an event holds a secret")
		}
	}
	if got := strings.Join(done, " "); got != "client-add client-rotate-secret client-show client-disable" {
		t.Error(got)
	}
	for name, bad := range map[string]client.Client{
		"a role that nobody has": {ID: "svc", Name: "S", Auth: client.PrivateKeyJWT, Keys: []byte("{}"), Roles: []string{"role:ghost"}, Scopes: []string{"system/*.r"}},
		"a purpose of no rule":   {ID: "svc", Name: "S", Auth: client.PrivateKeyJWT, Keys: []byte("{}"), Roles: []string{"role:integration"}, Scopes: []string{"system/*.r"}, Purpose: "HMARKT2"},
		"nothing":                {},
	} {
		if _, err := do[ClientSecret](d, ann, "client/add", ClientRequest{bad}); !isRefused(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	d.trail.err = audit.ErrUnavailable
	app.ID = "other"
	if _, err := do[ClientSecret](d, ann, "client/add", ClientRequest{app}); !errors.Is(err, audit.ErrUnavailable) {
		t.Error(err)
	}
	d.trail.err = nil
	if _, err := do[client.Client](d, ann, "client/show", ClientRequest{client.Client{ID: "other"}}); !isRefused(err) {
		t.Errorf("a client was registered without a record: %v", err)
	}
}
