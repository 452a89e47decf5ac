package office

import (
	"errors"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/authz/account"
)

func TestIdentitiesAreLinkedAndTaken(t *testing.T) {
	t.Parallel()
	d := newDesk(t, true)
	ann := d.officer("user:ann")
	in := LinkRequest{Subject: "user:nurse", Identity: account.Identity{Issuer: "https://idp.example", Subject: "sub-of-a-person"}, Reason: "works there"}
	after, err := do[account.Account](d, ann, "user/link", in)
	d.must(err)
	if len(after.Identities) != 1 {
		t.Errorf("%+v", after)
	}
	if e := d.trail.last("account-link"); e == nil || !strings.Contains(e.Event.Reason, "user:nurse at https://idp.example; reason: works there") || strings.Contains(e.Event.Reason, in.Identity.Subject) {
		t.Errorf("%+v", e)
	}
	_, err = do[account.Account](d, ann, "user/link", in)
	d.must(err) // again is no change
	var refusal *Refusal
	other := in
	other.Subject = "user:bob"
	if _, err := do[account.Account](d, ann, "user/link", other); !errors.As(err, &refusal) || !refusal.Conflict {
		t.Errorf("linked to two accounts: %v", err)
	}
	for name, bad := range map[string]LinkRequest{
		"the own account": {Subject: "user:ann", Identity: account.Identity{Issuer: "https://idp.example", Subject: "2"}, Reason: "x"},
		"no reason":       {Subject: "user:nurse", Identity: account.Identity{Issuer: "https://idp.example", Subject: "2"}},
		"no issuer":       {Subject: "user:nurse", Identity: account.Identity{Subject: "2"}, Reason: "x"},
		"nobody":          {Subject: "user:nobody", Identity: account.Identity{Issuer: "https://idp.example", Subject: "2"}, Reason: "x"},
	} {
		if _, err := do[account.Account](d, ann, "user/link", bad); !isRefused(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := do[account.Account](d, ann, "user/create", AccountRequest{Reason: "x", Account: account.Account{Subject: "user:new", Identities: after.Identities}}); !isRefused(err) {
		t.Errorf("created with an identity: %v", err)
	}
	after, err = do[account.Account](d, ann, "user/unlink", in)
	d.must(err)
	if len(after.Identities) != 0 || len(d.revoked) != 1 || d.revoked[0] != "user:nurse" {
		t.Errorf("%+v, revoked %v", after, d.revoked)
	}
	if _, err := do[account.Account](d, ann, "user/unlink", in); !isRefused(err) {
		t.Errorf("unlinked twice: %v", err)
	}
}
