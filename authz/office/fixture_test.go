package office

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/audit/trail"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/authz/client"
	"github.com/fieldseal/fieldseal/authz/glass"
	"github.com/fieldseal/fieldseal/authz/policy"
	"github.com/fieldseal/fieldseal/authz/policy/archive"
	"github.com/fieldseal/fieldseal/authz/token"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/fhir/definition"
	"github.com/fieldseal/fieldseal/repository"
)

// desk is an office over real parts, with a trail in memory.
type desk struct {
	*Office
	t       *testing.T
	issuer  *token.Issuer
	trail   *memory
	clock   time.Time
	ended   []string // accounts whose grants were ended
	revoked []string
	book    *glass.Book
}

// memory is a trail that can fail.
type memory struct {
	events []audit.Entry
	err    error
}

func (m *memory) Record(_ context.Context, e audit.Event) (audit.Receipt, error) {
	if m.err == nil {
		m.events = append(m.events, audit.Entry{Seq: uint64(len(m.events) + 1), Event: e})
	}
	return audit.Receipt{}, m.err
}
func (m *memory) Queue(e audit.Event) { m.events = append(m.events, audit.Entry{Event: e}) }

// Search answers newest first, as the trail does.
func (m *memory) Search(_ context.Context, q trail.Query) (out []audit.Entry, err error) {
	for _, e := range slices.Backward(m.events) {
		if slices.Contains(q.Kinds, e.Kind) && (q.Before == trail.Position{} || e.Seq < q.Before.Seq) && len(out) < q.Limit && !e.Time.Before(q.From) {
			out = append(out, e)
		}
	}
	return out, m.err
}

var ward = field.StorageID{7}

// Facts knows three resources.
func (d *desk) Facts(_ context.Context, g authz.Grant, id string) (f authz.Facts, withheld func() []string, err error) {
	withheld = func() []string { return []string{"Consent/c1 withholds it"} }
	switch g.Request().Type + "/" + id {
	case "Patient/p1", "Observation/o1":
		return authz.Facts{Patients: []field.StorageID{d.PRF("Patient", "p1")}, Owner: d.PRF("Patient", "p1")}, withheld, nil
	case "Observation/restricted":
		return authz.Facts{Security: []field.Label{{Code: "R"}}, Orgs: []field.StorageID{ward}}, withheld, nil
	}
	return f, nil, repository.ErrNotFound
}
func (d *desk) Owner(patient string) audit.Owner { return d.PRF("Patient", patient) }
func (d *desk) RevokeAccount(_ context.Context, subject string) (int, error) {
	d.revoked = append(d.revoked, subject)
	return 1, nil
}

func (d *desk) EndGrants(_ context.Context, subject string) (int, error) {
	d.ended = append(d.ended, subject)
	return 1, nil
}

func (d *desk) RevokeClient(_ context.Context, id string) (int, error) {
	d.revoked = append(d.revoked, id)
	return 2, nil
}
func (d *desk) RotateSigningKey(context.Context) (string, time.Time, error) {
	return "k2", d.clock, nil
}

func newDesk(t *testing.T, twoPersons bool) *desk {
	t.Helper()
	ring, reg := keyringtest.NewRing(t), definition.Default()
	patient := reg.Compartment("Patient")
	d := &desk{t: t, trail: &memory{}, clock: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}
	now := func() time.Time { return d.clock }
	policies, err := archive.New(archive.Options{Table: keyringtest.NewTable(), PRF: ring.StorageID, Now: now,
		Policy: policy.Options{Types: reg.ResourceTypes(), PatientType: func(typ string) bool { return patient.Params(typ) != nil }, Now: now}})
	d.must(err)
	d.must(policies.Bootstrap(t.Context(), string(policy.Default()), "setup", "first start"))
	d.issuer, err = token.New(token.Options{Table: keyringtest.NewTable(), StorageID: ring.StorageID, AllowDemo: true, Now: now})
	d.must(err)
	d.book = glass.NewBook(keyringtest.NewTable(), ring, now)
	d.Office = New(Options{Policies: policies, Accounts: account.NewDirectory(keyringtest.NewTable(), ring), Trail: d.trail, Resources: d, Tokens: d, Grants: d, Glasses: d.book, Credentials: &people{}, Signing: d,
		Clients: client.New(client.Options{Table: keyringtest.NewTable(), PRF: ring.StorageID, CheckKeys: func([]byte) error { return nil }, CheckKeysURL: func(string) error { return nil }}),

		PRF: func(typ, id string) [16]byte { return ring.StorageID(typ, id) }, TwoPersons: twoPersons, Now: now})
	for _, name := range []string{"user:ann", "user:bob"} {
		d.must(d.Accounts.Create(t.Context(), account.Account{Subject: name, Roles: []string{"role:security-officer"}}))
	}
	d.must(d.Accounts.Create(t.Context(), account.Account{Subject: "user:nurse", Roles: []string{"role:nurse"}, Links: []string{"Practitioner/n"}}))
	return d
}

func (d *desk) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// subject is the holder of a token.
func (d *desk) subject(c token.Claims) authz.Subject {
	d.t.Helper()
	if c.Client == "" {
		c.Client = "app"
	}
	bearer, err := d.issuer.Issue(d.t.Context(), c)
	d.must(err)
	s, err := d.issuer.Verify(d.t.Context(), bearer, "192.0.2.1")
	d.must(err)
	return s
}

// officer is an account that authenticated with a second factor just now.
func (d *desk) officer(name string) Actor {
	d.t.Helper()
	a, err := d.Admit(d.t.Context(), d.subject(token.Claims{Account: name, Roles: []string{"role:security-officer"}, Scopes: []string{policy.AdminScope},
		Purpose: "HSYSADMIN", AMR: []string{"pwd", "otp"}, AuthTime: d.clock}))
	d.must(err)
	return a
}

// do runs an operation and decodes its answer.
func do[Out any](d *desk, a Actor, name string, in any) (out Out, err error) {
	d.t.Helper()
	body, err := json.Marshal(in)
	d.must(err)
	got, err := d.Do(d.t.Context(), a, name, body)
	if err != nil {
		return out, err
	}
	out, ok := got.(Out)
	if !ok {
		d.t.Fatalf("%s answers %T", name, got)
	}
	return out, nil
}

func isRefused(err error) bool {
	var r *Refusal
	return errors.As(err, &r)
}

// draft17 is a policy for a research project.
var draft17 = string(policy.Default()) + `role, role:project-17, sees labs of adults for research
p, role:project-17, Observation, read|search, clinical|administrative, HRESCH, adult, allow
`

// last is the newest event with a subtype.
func (m *memory) last(subtype string) *audit.Entry {
	for i := range slices.Backward(m.events) {
		if m.events[i].Event.Subtype == subtype {
			return &m.events[i]
		}
	}
	return nil
}
