package policy

import (
	"errors"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/label"
	"github.com/fieldseal/fieldseal/crypto/field"
)

func sensitive(codes ...string) (ls []field.Label) {
	for _, c := range codes {
		if _, level := label.ParseLevel(c); level {
			ls = append(ls, field.Label{System: label.Confidentiality, Code: c})
		} else {
			ls = append(ls, field.Label{System: label.Sensitivity, Code: c})
		}
	}
	return ls
}

// TestPredicates asks one condition at a time: as the condition of an allow, and
// as that of a deny beside an unconditional allow.
func TestPredicates(t *testing.T) {
	t.Parallel()
	doctor := func(c *authz.SubjectClaims) { c.Who = "Practitioner/dr" }
	from := func(address string) func(*authz.SubjectClaims) {
		return func(c *authz.SubjectClaims) { c.Address = address }
	}
	fresh := func(age time.Duration, amr ...string) func(*authz.SubjectClaims) {
		return func(c *authz.SubjectClaims) { c.AMR, c.AuthTime = amr, noon().Add(-age) }
	}
	nothing := func(*authz.SubjectClaims) {}
	const f, y, e = 0, 4, 8 // of known: false, true, error
	for _, c := range []struct {
		name, cond string
		who        func(*authz.SubjectClaims)
		facts      authz.Facts
		want       truth
	}{
		{"cares", "relationship", doctor, authz.Facts{More: known{y, f, f, f}}, yes},
		{"does not care", "relationship", doctor, authz.Facts{More: known{f, y, y, y}}, no},
		{"the index does not answer", "relationship", doctor, authz.Facts{More: known{e, y, y, y}}, unknown},
		{"nobody can tell", "relationship", doctor, authz.Facts{}, unknown},
		{"a patient is no practitioner", "relationship", func(c *authz.SubjectClaims) { c.Who = "Patient/a" }, authz.Facts{More: known{y, f, f, f}}, no},
		{"permitted", "consent", nothing, authz.Facts{More: known{f, y, f, f}}, yes},
		{"not permitted", "consent", nothing, authz.Facts{More: known{y, f, y, y}}, no},
		{"consents cannot be read", "consent", nothing, authz.Facts{More: known{y, e, y, y}}, unknown},
		{"own note", "author", doctor, authz.Facts{More: known{f, f, y, f}}, yes},
		{"a colleague's note", "author", doctor, authz.Facts{More: known{y, y, f, y}}, no},
		{"without a reference nobody is an author", "author", nothing, authz.Facts{More: known{y, y, y, y}}, no},
		{"a colleague's note", "not_author", doctor, authz.Facts{More: known{f, f, f, f}}, yes},
		{"own note", "not_author", doctor, authz.Facts{More: known{f, f, y, f}}, no},
		{"the author cannot be read", "not_author", doctor, authz.Facts{More: known{f, f, e, f}}, unknown},
		{"of age", "adult", nothing, authz.Facts{More: known{f, f, f, y}}, yes},
		{"a child", "adult", nothing, authz.Facts{More: known{f, f, f, f}}, no},
		{"a confidentiality that is not known", "restricted_label", nothing, authz.Facts{Security: []field.Label{{System: label.Confidentiality, Code: "RX"}}}, yes},
		{"a confidentiality that is not known", "not_restricted_label", nothing, authz.Facts{Security: []field.Label{{System: label.Confidentiality, Code: "RX"}}}, no},
		{"a category is no confidentiality", "restricted_label", nothing, authz.Facts{Security: sensitive("HIV")}, no},
		{"unlabelled counts as N", "label(N)", nothing, authz.Facts{}, yes},
		{"unlabelled is above M", "label(M)", nothing, authz.Facts{}, no},
		{"R within R", "label(R)", nothing, authz.Facts{Security: sensitive("R")}, yes},
		{"V above R", "label(R)", nothing, authz.Facts{Security: sensitive("U", "V")}, no},
		{"an unknown confidentiality is the highest", "label(R)", nothing, authz.Facts{Security: []field.Label{{System: label.Confidentiality, Code: "X"}}}, no},
		{"a category without clearance", "label(V)", nothing, authz.Facts{Security: sensitive("HIV")}, no},
		{"one of two categories", "label(V+HIV)", nothing, authz.Facts{Security: sensitive("HIV", "PSY")}, no},
		{"both categories", "label(R+HIV+PSY)", nothing, authz.Facts{Security: sensitive("R", "HIV", "PSY")}, yes},
		{"every category", "label(V+*)", nothing, authz.Facts{Security: sensitive("V", "HIV", "PSY", "SUD", "SEX", "SDV", "ETH", "GDIS")}, yes},
		{"a category without a system", "label(V)", nothing, authz.Facts{Security: []field.Label{{Code: "SDV"}}}, no},
		{"a label of another system", "label(N)", nothing, authz.Facts{Security: []field.Label{{System: "urn:x", Code: "HIV"}}}, yes},
		{"a client", "system_scope", func(c *authz.SubjectClaims) { c.ID, c.Scopes = "client:x", []string{"system/*.r"} }, authz.Facts{}, yes},
		{"a person", "system_scope", nothing, authz.Facts{}, no},
		{"the client", "client(kiosk+tablet)", func(c *authz.SubjectClaims) { c.Client = "tablet" }, authz.Facts{}, yes},
		{"another client", "client(kiosk)", func(c *authz.SubjectClaims) { c.Client = "kiosk+tablet" }, authz.Facts{}, no},
		{"inside", "zone(192.0.2.0/24+2001:db8::/32)", from("2001:db8::7"), authz.Facts{}, yes},
		{"mapped", "zone(192.0.2.0/24)", from("::ffff:192.0.2.9"), authz.Facts{}, yes},
		{"outside", "zone(192.0.2.0/24)", from("198.51.100.1"), authz.Facts{}, no},
		{"no address", "zone(0.0.0.0/0+::/0)", from("unknown"), authz.Facts{}, no},
		{"at noon", "hours(07:00-19:00@UTC)", nothing, authz.Facts{}, yes},
		{"elsewhere it is night", "hours(07:00-19:00@Asia/Tokyo)", nothing, authz.Facts{}, no},
		{"over midnight", "hours(22:00-06:00@UTC)", nothing, authz.Facts{}, no},
		{"the end does not count", "hours(07:00-12:00@UTC)", nothing, authz.Facts{}, no},
		{"fresh", "mfa(15m)", fresh(time.Minute, "pwd", "otp"), authz.Facts{}, yes},
		{"stale", "mfa(15m)", fresh(16*time.Minute, "mfa"), authz.Facts{}, no},
		{"one factor", "mfa(15m)", fresh(time.Minute, "pwd"), authz.Facts{}, no},
		{"from the future", "mfa(15m)", fresh(-time.Hour, "mfa"), authz.Facts{}, no},
		{"no time", "mfa(15m)", func(c *authz.SubjectClaims) { c.AMR = []string{"mfa"} }, authz.Facts{}, no},
	} {
		claims := user("x")
		c.who(&claims)
		mask := func(rows string) field.ClassSet {
			d := newDecider(t, "role, role:x, x\n"+rows)
			g, err := d.Decide(t.Context(), authz.NewSubject(claims), authz.Request{Action: authz.Read, Type: "Observation"})
			if err != nil && !errors.Is(err, authz.ErrDenied) {
				t.Fatal(err)
			}
			return g.Mask(c.facts)
		}
		if got := mask("p, role:x, *, read, *, *, " + c.cond + ", allow\n"); (got != 0) != (c.want == yes) {
			t.Errorf("%s: allowed under %s: %v", c.name, c.cond, got)
		}
		if got := mask("p, role:x, *, read, *, *, all_patients, allow\np, role:x, *, read, *, *, " + c.cond + ", deny\n"); (got == 0) != (c.want != no) {
			t.Errorf("%s: denied under %s: %v", c.name, c.cond, got)
		}
	}
}

func TestArgumentsAreChecked(t *testing.T) {
	t.Parallel()
	for _, cond := range []string{"label", "label()", "label(X)", "label(R+)", "label(R", "label(R))", "relationship()", "client()", "client(a+)",
		"zone()", "zone(10.0.0.1/8)", "zone(here)", "hours(7-19)", "hours(07:00-07:00)", "hours(07:00-19:00@Nowhere)", "hours(07:00-19:00@)",
		"mfa()", "mfa(-1m)", "mfa(0s)", "mfa(soon)", "adult(18)", "(R)"} {
		bad := "role, role:x, x\np, role:x, *, read, *, *, " + cond + ", allow\n"
		if _, err := New(Options{Policy: []byte(bad), Types: testTypes, PatientType: inCompartment}); err == nil {
			t.Errorf("cond %q is accepted", cond)
		}
	}
}

// counted notes what was asked.
type counted struct {
	known
	asked *int
}

func (c counted) Consented() (bool, error) { *c.asked++; return c.known.Consented() }

// TestConsentsOfStrangersAreNotRead: where nothing can be visible anyway, no
// consent is looked for, so that a stranger's record costs no more than an
// unknown id.
func TestConsentsOfStrangersAreNotRead(t *testing.T) {
	t.Parallel()
	d := newDecider(t, "role, role:x, x\np, role:x, *, read, *, *, consent & relationship & label(R), allow\n")
	c := user("x")
	c.Who = "Practitioner/dr"
	asked := 0
	g := ask(t, d, c, authz.Read, "Observation")
	if g.Mask(authz.Facts{More: counted{known{0, 4, 4, 4}, &asked}}) != 0 || asked != 0 {
		t.Errorf("%d consents were read", asked)
	}
	if g.Mask(authz.Facts{More: counted{known{4, 4, 4, 4}, &asked}}) == 0 || asked != 1 {
		t.Errorf("%d consents were read", asked)
	}
}

// A search narrows to the patients that the subject cares for only where no rule
// could show anything else.
func TestRelatedGrants(t *testing.T) {
	t.Parallel()
	const rows = "role, role:x, x\np, role:x, *, search, *, *, relationship & consent, allow\np, role:x, *, search, *, *, not_patient_data, allow\n"
	c := user("x")
	c.Who = "Practitioner/dr"
	d := newDecider(t, rows)
	if g := ask(t, d, c, authz.Search, "Observation"); !g.Related() || confinedTo(g, alice) || g.Unrestricted() {
		t.Error("patient data under a relationship is not related")
	}
	if ask(t, d, c, authz.Search, "Practitioner").Related() {
		t.Error("what is no patient data is confined to patients")
	}
	d = newDecider(t, rows+"p, role:x, Observation, search, clinical, *, org, allow\n")
	c.Orgs = []field.StorageID{ward}
	if ask(t, d, c, authz.Search, "Observation").Related() {
		t.Error("a rule that shows an organization's resources is overlooked")
	}
	c.Patient, c.PatientKey, c.Scopes = "alice", alice, []string{"patient/*.s"}
	if g := ask(t, d, c, authz.Search, "Observation"); !confinedTo(g, alice) {
		t.Error("a patient scope does not confine")
	}
}
