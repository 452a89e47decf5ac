package account

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/authz/token"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/repository"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// parent is a patient who is also a proxy of another one.
func parent() Account {
	return Account{Subject: "user:parent", Roles: []string{"role:patient"}, Groups: []string{"group:portal"},
		Links: []string{"Patient/p1", "RelatedPerson/r1"},
		Delegations: []Delegation{{ID: "d1", Patient: "child", Scopes: []string{"patient/Observation.rs", "patient/Patient.r"},
			Until: now.Add(time.Hour), By: "user:desk", Reason: "custody"}}}
}

func clinician() Account {
	return Account{Subject: "user:dr", Roles: []string{"role:clinician"}, Links: []string{"Practitioner/dr"}, Orgs: []string{"o1"}}
}

func TestClaimsFollowTheAccount(t *testing.T) {
	t.Parallel()
	ended, disabled := parent(), parent()
	ended.Until, disabled.Disabled = now, true
	limited := clinician()
	limited.Until = now.Add(5 * time.Minute)
	both := parent()
	both.Links = append(both.Links, "Practitioner/dr")
	wide := []string{"patient/*.rs", "patient/Observation.rs", "patient/Observation.cruds", "user/*.cruds", "openid"}
	for _, c := range []struct {
		name    string
		account Account
		session Session
		want    token.Claims
		err     error
	}{
		{"own compartment by default", parent(), Session{Scopes: wide},
			token.Claims{Account: "user:parent", Roles: []string{"role:patient", "group:portal"}, Who: "Patient/p1", Patient: "p1", Scopes: wide}, nil},
		{"proxy", parent(), Session{Scopes: wide, Patient: "child", Purpose: "TREAT"},
			token.Claims{Account: "user:parent", Roles: []string{ProxyRole}, Who: "RelatedPerson/r1", Patient: "child",
				Scopes: []string{"patient/Observation.rs", "openid", "patient/Patient.r"}, Purpose: "PATRQT", Lifetime: token.DefaultLifetime}, nil},
		{"clinician in a patient's context", clinician(), Session{Scopes: wide, Patient: "child"},
			token.Claims{Account: "user:dr", Roles: []string{"role:clinician"}, Who: "Practitioner/dr", Orgs: []string{"o1"}, Patient: "child", Scopes: wide}, nil},
		{"clinician without context", clinician(), Session{Scopes: wide},
			token.Claims{Account: "user:dr", Roles: []string{"role:clinician"}, Who: "Practitioner/dr", Orgs: []string{"o1"}, Scopes: wide}, nil},
		{"account that ends soon", limited, Session{Lifetime: time.Hour},
			token.Claims{Account: "user:dr", Roles: []string{"role:clinician"}, Who: "Practitioner/dr", Orgs: []string{"o1"}, Lifetime: 5 * time.Minute}, nil},
		{"a clinician who is a proxy has no role but that", both, Session{Scopes: wide, Patient: "child"},
			token.Claims{Account: "user:parent", Roles: []string{ProxyRole}, Who: "RelatedPerson/r1", Patient: "child",
				Scopes: []string{"patient/Observation.rs", "openid", "patient/Patient.r"}, Purpose: "PATRQT", Lifetime: token.DefaultLifetime}, nil},
		{"ended", ended, Session{Scopes: wide}, token.Claims{}, ErrDisabled},
		{"disabled", disabled, Session{Scopes: wide, Patient: "child"}, token.Claims{}, ErrDisabled},
	} {
		if got, err := c.account.Claims(c.session, now); !errors.Is(err, c.err) || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v %v", c.name, got, err)
		}
	}
}

// Attacks on delegations: each must get no claims.
func TestProxyCannotReachFurther(t *testing.T) {
	t.Parallel()
	wide := []string{"patient/Observation.rs"}
	for _, c := range []struct {
		name    string
		change  func(*Account)
		session Session
		at      time.Time
	}{
		{"patient of nobody's delegation", nil, Session{Scopes: wide, Patient: "other"}, now},
		{"after the end", nil, Session{Scopes: wide, Patient: "child"}, now.Add(time.Hour)},
		{"revoked", func(a *Account) { a.Delegations[0].Revoked = now }, Session{Scopes: wide, Patient: "child"}, now},
		{"no related person", func(a *Account) { a.Links = a.Links[:1] }, Session{Scopes: wide, Patient: "child"}, now},
		{"scopes beyond the delegation only", nil, Session{Scopes: []string{"patient/Condition.rs", "user/*.rs", "openid"}, Patient: "child"}, now},
		{"write scope", nil, Session{Scopes: []string{"patient/Observation.cu"}, Patient: "child"}, now},
		{"no scope", nil, Session{Patient: "child"}, now},
		{"proxy without own record, other patient", func(a *Account) { a.Links = a.Links[1:] }, Session{Scopes: wide, Patient: "p9"}, now},
		{"account disabled meanwhile", func(a *Account) { a.Disabled = true }, Session{Scopes: wide, Patient: "child"}, now},
	} {
		a := parent()
		if c.change != nil {
			c.change(&a)
		}
		if got, err := a.Claims(c.session, c.at); err == nil || got.Account != "" {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
	a := parent()
	got, err := a.Claims(Session{Scopes: wide, Patient: "child", Lifetime: time.Hour}, now.Add(50*time.Minute))
	if err != nil || got.Lifetime != 10*time.Minute {
		t.Errorf("the token outlives the delegation: %v %v", got.Lifetime, err)
	}
}

func TestBadRecordsAreRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Account){
		"named like a role":       func(a *Account) { a.Subject = "role:clinician" },
		"role in the name":        func(a *Account) { a.Subject = "user:role:clinician" },
		"no name":                 func(a *Account) { a.Subject = "user:" },
		"line feed in the name":   func(a *Account) { a.Subject = "user:a\nuser:b" },
		"role without prefix":     func(a *Account) { a.Roles = []string{"clinician"} },
		"group as role":           func(a *Account) { a.Roles = []string{"group:x"} },
		"link to a record":        func(a *Account) { a.Links = []string{"Observation/o"} },
		"link to a URL":           func(a *Account) { a.Links = []string{"Patient/../x"} },
		"organization":            func(a *Account) { a.Orgs = []string{"Organization/o"} },
		"delegation without end":  func(a *Account) { a.Delegations[0].Until = time.Time{} },
		"delegation that writes":  func(a *Account) { a.Delegations[0].Scopes = []string{"patient/*.cruds"} },
		"delegation of the world": func(a *Account) { a.Delegations[0].Scopes = []string{"user/*.rs"} },
		"delegation by nobody":    func(a *Account) { a.Delegations[0].By = "" },
		"delegation without why":  func(a *Account) { a.Delegations[0].Reason = "" },
		"delegation of no scope":  func(a *Account) { a.Delegations[0].Scopes = nil },
	} {
		a := parent()
		if change(&a); !errors.Is(a.Check(), ErrInvalid) {
			t.Errorf("%s is accepted", name)
		}
	}
	for _, a := range []Account{parent(), clinician(), {Subject: "client:engine"}} {
		if err := a.Check(); err != nil {
			t.Errorf("%s: %v", a.Subject, err)
		}
	}
}

func TestDirectoryKeepsAccountsSealed(t *testing.T) {
	t.Parallel()
	table, ring := keyringtest.NewTable(), keyringtest.NewRing(t)
	d := NewDirectory(table, ring)
	ctx := t.Context()
	must := func(err, want error) {
		t.Helper()
		if !errors.Is(err, want) || (want == nil && err != nil) {
			t.Fatalf("error %v, want %v", err, want)
		}
	}
	must(d.Create(ctx, parent()), nil)
	must(d.Create(ctx, parent()), ErrExists)
	must(d.Create(ctx, clinician()), nil)
	must(d.Create(ctx, Account{Subject: "nobody"}), ErrInvalid)
	got, err := d.Get(ctx, "user:parent")
	must(err, nil)
	if !reflect.DeepEqual(got, parent()) {
		t.Errorf("%+v", got)
	}
	_, err = d.Get(ctx, "user:other")
	must(err, ErrUnknown)
	var wg sync.WaitGroup
	for _, g := range []string{"group:a", "group:b", "group:c", "group:d"} {
		wg.Go(func() {
			if _, err := d.Change(ctx, "user:dr", func(a *Account) error { a.Groups = append(a.Groups, g); return nil }); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got, _ := d.Get(ctx, "user:dr"); len(got.Groups) != 4 {
		t.Errorf("a change is lost: %v", got.Groups)
	}
	_, err = d.Change(ctx, "user:dr", func(a *Account) error { a.Subject = "user:other"; return nil })
	must(err, ErrInvalid)
	var names []string
	for a, err := range d.All(ctx) {
		must(err, nil)
		names = append(names, a.Subject)
	}
	if slices.Sort(names); !slices.Equal(names, []string{"user:dr", "user:parent"}) {
		t.Errorf("%v", names)
	}
	// What lies in the table names nobody, and cannot be moved.
	var rows []repository.Row
	for r, err := range table.Scan(ctx, nil) {
		must(err, nil)
		rows = append(rows, r)
		for _, word := range []string{"parent", "user:dr", "Practitioner", "child", "clinician"} {
			if strings.Contains(string(r.Key)+string(r.Value), word+`"`) || strings.Contains(string(r.Key)+string(r.Value), word+"/") {
				t.Errorf("the table shows %q", word)
			}
		}
	}
	table.Put(rows[0].Key, rows[1].Value)
	for _, name := range names {
		if a, err := d.Get(ctx, name); err == nil && a.Subject != name || err != nil && !errors.Is(err, repository.ErrCorrupt) {
			t.Errorf("%s: %+v %v", name, a, err)
		}
	}
}

// What a release stored, every later one reads (docs/format/account.md). The
// seal has frozen rows of its own in crypto/keyring.
func TestFrozenRecordsRead(t *testing.T) {
	t.Parallel()
	for version, identities := range map[int][]Identity{1: nil, 2: {portal}} {
		folder := fmt.Sprintf("testdata/format/v%d/", version)
		table := keyringtest.NewTable()
		d := NewDirectory(table, unsealed{})
		put := func(key []byte, file string) {
			b, err := os.ReadFile(folder + file)
			if err != nil {
				t.Fatal(err)
			}
			value, err := json.Marshal(row{version, b})
			if err != nil {
				t.Fatal(err)
			}
			table.Put(key, value)
		}
		put(d.key("user:parent"), "account.json")
		want := parent()
		want.Until, want.Orgs, want.Identities = now.Add(24*time.Hour), []string{"o1"}, identities
		if got, err := d.Get(t.Context(), "user:parent"); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("format %d: %+v %v", version, got, err)
		}
		if version == 1 {
			continue
		}
		put(d.identityKey(portal), "identity.txt")
		if got, err := d.Identified(t.Context(), portal); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("format %d: %+v %v", version, got, err)
		}
	}
	table := keyringtest.NewTable()
	d := NewDirectory(table, unsealed{})
	table.Put(d.key("user:parent"), []byte(`{"format":3,"sealed":"e30="}`))
	if _, err := d.Get(t.Context(), "user:parent"); !errors.Is(err, repository.ErrCorrupt) {
		t.Errorf("a row of a later format: %v", err)
	}
}

// Whose context an account may have: its own, those it acts for, or any.
func TestContextsAreThoseThatClaimsAccept(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	d := func(patient string, until time.Time, revoked time.Time) Delegation {
		return Delegation{ID: patient, Patient: patient, Scopes: []string{"patient/Observation.rs"}, Until: until, By: "user:x", Reason: "r", Revoked: revoked}
	}
	for name, row := range map[string]struct {
		links  []string
		has    []Delegation
		want   string
		search bool
	}{
		"patient":      {[]string{"Patient/p1"}, nil, "p1", false},
		"practitioner": {[]string{"Practitioner/d"}, nil, "", true},
		"both":         {[]string{"Practitioner/d", "Patient/p1"}, nil, "p1", true},
		"nobody":       {nil, nil, "", true},
		"proxy": {[]string{"RelatedPerson/r", "Patient/p1"}, []Delegation{d("p2", now.Add(1), time.Time{}), d("p2", now.Add(2), time.Time{}),
			d("p3", now, time.Time{}), d("p4", now.Add(1), now)}, "p1 p2", false},
		"proxy alone": {[]string{"RelatedPerson/r"}, nil, "", false},
	} {
		a := Account{Subject: "user:a", Links: row.links, Delegations: row.has}
		of, search := a.Contexts(now)
		var got []string
		for _, c := range of {
			got = append(got, c.Patient)
			if _, err := a.Claims(Session{Patient: c.Patient, Scopes: []string{"patient/*.rs"}}, now); err != nil {
				t.Errorf("%s: %s has no claims: %v", name, c.Patient, err)
			}
		}
		if strings.Join(got, " ") != row.want || search != row.search {
			t.Errorf("%s: %v %v", name, got, search)
		}
	}
}
