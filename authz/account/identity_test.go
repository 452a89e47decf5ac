package account

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/repository"
)

var portal = Identity{Issuer: "https://idp.example/realms/portal", Subject: "248289761001"}

// linked are two accounts in a directory, the first with an identity.
func linked(t *testing.T) (*Directory, *keyringtest.Table) {
	t.Helper()
	table := keyringtest.NewTable()
	d := NewDirectory(table, keyringtest.NewRing(t))
	for _, a := range []Account{parent(), clinician()} {
		if err := d.Create(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.Link(t.Context(), "user:parent", portal); err != nil {
		t.Fatal(err)
	}
	return d, table
}

func TestIdentityLeadsToItsAccount(t *testing.T) {
	t.Parallel()
	d, table := linked(t)
	a, err := d.Identified(t.Context(), portal)
	if err != nil || a.Subject != "user:parent" {
		t.Fatalf("%+v %v", a, err)
	}
	for _, other := range []Identity{{portal.Issuer, "24828976100"}, {portal.Issuer + "/", portal.Subject}, {"https://evil.example", portal.Subject},
		{portal.Issuer + "\x00" + portal.Subject[:1], portal.Subject[1:]}} {
		if a, err := d.Identified(t.Context(), other); !errors.Is(err, ErrUnknown) {
			t.Errorf("%+v: %+v %v", other, a, err)
		}
	}
	for r := range table.Scan(t.Context(), nil) {
		if text := string(r.Key) + string(r.Value); strings.Contains(text, portal.Subject) || strings.Contains(text, "idp.example") {
			t.Error("the table shows who the account is elsewhere")
		}
	}
	// Again is no change; for another account it is refused.
	if a, err := d.Link(t.Context(), "user:parent", portal); err != nil || len(a.Identities) != 1 {
		t.Errorf("%+v %v", a.Identities, err)
	}
	if _, err := d.Link(t.Context(), "user:dr", portal); !errors.Is(err, ErrLinked) {
		t.Errorf("linked to two accounts: %v", err)
	}
	if a, err := d.Unlink(t.Context(), "user:parent", portal); err != nil || len(a.Identities) != 0 {
		t.Errorf("%+v %v", a.Identities, err)
	}
	if _, err := d.Unlink(t.Context(), "user:parent", portal); !errors.Is(err, ErrUnknown) {
		t.Errorf("unlinked twice: %v", err)
	}
	if _, err := d.Identified(t.Context(), portal); !errors.Is(err, ErrUnknown) {
		t.Errorf("after unlinking: %v", err)
	}
	if _, err := d.Link(t.Context(), "user:dr", portal); err != nil {
		t.Errorf("linked anew: %v", err)
	}
}

// TestMovedRowOfAnIdentityLeadsNowhere: who writes the table gives no account
// the identity of another, since the account's own list decides.
func TestMovedRowOfAnIdentityLeadsNowhere(t *testing.T) {
	t.Parallel()
	d, table := linked(t)
	victim := Identity{portal.Issuer, "victim"}
	if _, err := d.Link(t.Context(), "user:dr", victim); err != nil {
		t.Fatal(err)
	}
	r, err := table.Get(t.Context(), d.identityKey(victim))
	if err != nil {
		t.Fatal(err)
	}
	table.Put(d.identityKey(portal), r.Value)
	if a, err := d.Identified(t.Context(), portal); !errors.Is(err, repository.ErrCorrupt) {
		t.Errorf("%s %v", a.Subject, err)
	}
}

// TestRowThatACrashLeftIsTakenOver: the row was put and the account not changed.
func TestRowThatACrashLeftIsTakenOver(t *testing.T) {
	t.Parallel()
	d, _ := linked(t)
	half := Identity{portal.Issuer, "half"}
	if err := d.lead(t.Context(), half, "user:parent"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Identified(t.Context(), half); !errors.Is(err, ErrUnknown) {
		t.Errorf("half a link leads somewhere: %v", err)
	}
	if _, err := d.Link(t.Context(), "user:dr", half); err != nil {
		t.Fatal(err)
	}
	if a, err := d.Identified(t.Context(), half); err != nil || a.Subject != "user:dr" {
		t.Errorf("%s %v", a.Subject, err)
	}
}

// TestTwoAccountsAreLinkedAtTheSameTime: one of them has the identity at most.
func TestTwoAccountsAreLinkedAtTheSameTime(t *testing.T) {
	t.Parallel()
	d, _ := linked(t)
	wanted := Identity{portal.Issuer, "wanted"}
	var wg sync.WaitGroup
	for _, subject := range []string{"user:dr", "user:parent", "user:dr", "user:parent"} {
		wg.Go(func() {
			if _, err := d.Link(t.Context(), subject, wanted); err != nil && !errors.Is(err, ErrLinked) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	var holders []string
	for a, err := range d.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(a.Identities, wanted) {
			holders = append(holders, a.Subject)
		}
	}
	a, err := d.Identified(t.Context(), wanted)
	if err == nil && !slices.Contains(holders, a.Subject) || err != nil && !errors.Is(err, ErrUnknown) {
		t.Errorf("%s %v, holders %v", a.Subject, err, holders)
	}
}

func TestIdentitiesThatAreRefused(t *testing.T) {
	t.Parallel()
	d, _ := linked(t)
	for name, i := range map[string]Identity{
		"http":             {"http://idp.example", "1"},
		"no URL":           {"idp", "1"},
		"a password":       {"https://a:b@idp.example", "1"},
		"a query":          {"https://idp.example?x=1", "1"},
		"no sub":           {portal.Issuer, ""},
		"a long sub":       {portal.Issuer, strings.Repeat("s", 256)},
		"a sub that hides": {portal.Issuer, "a\x00b"},
	} {
		if _, err := d.Link(t.Context(), "user:parent", i); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := d.Link(t.Context(), "user:nobody", portal); !errors.Is(err, ErrUnknown) {
		t.Errorf("an account that does not exist: %v", err)
	}
}
