package interaction

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz/glass"
	"github.com/fieldseal/fieldseal/authz/label"
	"github.com/fieldseal/fieldseal/authz/token"
	"github.com/fieldseal/fieldseal/conformance/validation"
	"github.com/fieldseal/fieldseal/fhir"
)

// emergencyWard is two patients with an observation each; whoever has the role resident
// sees neither but in an emergency.
func emergencyWard(t *testing.T) *shop {
	p := newShop(t)
	for _, id := range []string{"p1", "p2"} {
		p.put("Patient", id, strings.Replace(strings.Replace(patient, `"p1"`, `"`+id+`"`, 1), "m4711", "mrn-"+id, 1))
		p.put("Observation", "o-"+id, `{"resourceType":"Observation","id":"o-`+id+`","status":"final","code":{"text":"c"},"subject":{"reference":"Patient/`+id+`"},"valueString":"seen-`+id+`"}`)
	}
	return p
}

// resident has just logged in with a second factor unless the test spoils it.
func (p *shop) resident(spoil func(*token.Claims)) Call {
	p.t.Helper()
	c := token.Claims{Account: "user:resident", Client: "ehr", Roles: []string{"role:resident"}, Scopes: []string{"user/*.cruds"}, Who: "Practitioner/r",
		Purpose: "TREAT", AMR: []string{"pwd", "mfa"}, AuthTime: p.clock.Now()}
	if spoil != nil {
		spoil(&c)
	}
	opaque, err := p.tokens.Issue(p.t.Context(), c)
	p.must(err)
	s, err := p.tokens.Verify(p.t.Context(), opaque, "192.0.2.7")
	p.must(err)
	traits := p.Decider.Traits(s)
	return Call{Subject: s, RequestID: "r9", traits: &traits}
}

const emergencyBody = `{"resourceType":"Parameters","parameter":[{"name":"reason","valueCode":"ETREAT"},{"name":"text","valueString":"unconscious in the emergency room"}]}`

func breakGlass(id string) Invocation {
	return Invocation{Code: "break-glass", Type: "Patient", ID: id, Body: []byte(emergencyBody)}
}

// broken is the call under a new emergency access.
func (p *shop) broken(c Call, id string) Call {
	p.t.Helper()
	return p.under(c, p.grant(p.Operate(p.t.Context(), c, breakGlass(id))))
}

func (p *shop) under(c Call, grant string) Call {
	p.t.Helper()
	u, err := p.Under(p.t.Context(), c, grant)
	p.must(err)
	return u
}

// grant is the id that the operation answers.
func (p *shop) grant(a *Answer, err error) string {
	p.t.Helper()
	p.must(err)
	var out struct {
		Parameter []struct{ Name, ValueString, ValueInstant string }
	}
	p.must(json.Unmarshal(a.Body(), &out))
	if len(out.Parameter) != 2 || out.Parameter[0].Name != "grant" || out.Parameter[1].ValueInstant == "" || a.Status() != 201 {
		p.t.Fatalf("status %d, %s", a.Status(), a.Body())
	}
	return out.Parameter[0].ValueString
}

func TestBrokenGlassShowsTheOnePatientAndNobodyElse(t *testing.T) {
	t.Parallel()
	p := emergencyWard(t)
	c := p.resident(nil)
	a, err := p.Read(t.Context(), c, "Patient", "p1")
	p.refused(a, err, Denied)
	u := p.broken(c, "p1")
	for _, ref := range []string{"Patient/p1", "Observation/o-p1"} {
		typ, id, _ := strings.Cut(ref, "/")
		if a, err := p.Read(t.Context(), u, typ, id); err != nil || !bytes.Contains(a.Body(), []byte("p1")) {
			t.Errorf("%s: %v", ref, err)
		}
	}
	for _, ref := range []string{"Patient/p2", "Observation/o-p2"} {
		typ, id, _ := strings.Cut(ref, "/")
		a, err := p.Read(t.Context(), u, typ, id)
		p.refused(a, err, NotFound)
		a, err = p.History(t.Context(), u, typ, id, "")
		p.refused(a, err, NotFound)
		a, err = p.VRead(t.Context(), u, typ, id, "1")
		p.refused(a, err, NotFound)
	}
	for _, target := range []string{"Observation", "Observation?subject=Patient/p2", "Patient", "Patient?_has:Observation:patient:_id=o-p2", "Patient/p2/*",
		"Observation?_include=Observation:subject", "Patient?_revinclude=Observation:subject", "?_type=Patient,Observation"} {
		a, err := p.ask(u, target)
		if err != nil && failure(err).Kind != NotFound {
			t.Errorf("%s: %v", target, err)
		}
		if err == nil && (bytes.Contains(a.Body(), []byte("seen-p2")) || bytes.Contains(a.Body(), []byte("mrn-p2"))) {
			t.Errorf("%s shows another patient", target)
		}
	}
	a, err = p.Operate(t.Context(), u, Invocation{Code: "everything", Type: "Patient", ID: "p2"})
	p.refused(a, err, NotFound)
	a, err = p.HistoryType(t.Context(), u, "Observation", "")
	p.refused(a, err, Denied)
	a, err = p.Operate(t.Context(), u, breakGlass("p2")) // one at a time
	p.refused(a, err, Denied)
	a, err = p.Read(t.Context(), c, "Patient", "p1") // without the access in force
	p.refused(a, err, Denied)
}

func TestNothingIsWrittenUnderABrokenGlass(t *testing.T) {
	t.Parallel()
	p := emergencyWard(t)
	u := p.broken(p.resident(nil), "p1")
	obs := []byte(`{"resourceType":"Observation","id":"o-p1","status":"final","code":{"text":"c"},"subject":{"reference":"Patient/p1"}}`)
	before := p.stored()
	for name, write := range map[string]func() (*Answer, error){
		"create": func() (*Answer, error) { return p.Create(t.Context(), u, "Observation", obs) },
		"update": func() (*Answer, error) { return p.Update(t.Context(), u, "Observation", "o-p1", obs) },
		"patch": func() (*Answer, error) {
			return p.Patch(t.Context(), u, "Observation", "o-p1", JSONPatchMedia, []byte(`[{"op":"replace","path":"/status","value":"amended"}]`))
		},
		"delete":             func() (*Answer, error) { return p.Delete(t.Context(), u, "Observation", "o-p1") },
		"conditional delete": func() (*Answer, error) { return p.DeleteWhere(t.Context(), u, "Observation", "_id=o-p1") },
		"conditional update": func() (*Answer, error) { return p.UpdateWhere(t.Context(), u, "Observation", "_id=o-p1", obs) },
		"$meta-add": func() (*Answer, error) {
			return p.Operate(t.Context(), u, Invocation{Code: "meta-add", Type: "Patient", ID: "p1", Body: []byte(`{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"tag":[{"code":"x"}]}}]}`)})
		},
		"transaction": func() (*Answer, error) {
			return p.Bundle(t.Context(), u, []byte(`{"resourceType":"Bundle","type":"transaction","entry":[{"resource":`+string(obs)+`,"request":{"method":"PUT","url":"Observation/o-p1"}}]}`))
		},
	} {
		a, err := write()
		if p.refused(a, err, Denied); p.stored() != before {
			t.Fatalf("%s was written", name)
		}
	}
}

func TestGlassIsNotBrokenWithoutAFreshSecondFactor(t *testing.T) {
	t.Parallel()
	p := emergencyWard(t)
	for name, spoil := range map[string]func(*token.Claims){
		"no second factor":        func(c *token.Claims) { c.AMR = []string{"pwd"} },
		"no methods":              func(c *token.Claims) { c.AMR = nil },
		"a method called like it": func(c *token.Claims) { c.AMR = []string{"mfa2", "MFA"} },
		"stale":                   func(c *token.Claims) { c.AuthTime = p.clock.Now().Add(-glass.AuthAge - time.Second) },
		"of an unknown time":      func(c *token.Claims) { c.AuthTime = time.Time{} },
		"in the future":           func(c *token.Claims) { c.AuthTime = p.clock.Now().Add(time.Hour) },
		"role is not eligible":    func(c *token.Claims) { c.Roles = []string{"role:ward"}; c.Orgs = []string{"o1"} },
		"role sees all anyway":    func(c *token.Claims) { c.Roles = []string{"role:clinician"} },
		"no role":                 func(c *token.Claims) { c.Roles = nil },
		"no scope":                func(c *token.Claims) { c.Scopes = []string{"user/Observation.rs"} },
		"a token for one patient": func(c *token.Claims) { c.Scopes, c.Patient = []string{"patient/*.rs"}, "p1" },
		"a client of its own":     func(c *token.Claims) { c.Account, c.Scopes = "client:robot", []string{"system/*.rs"} },
	} {
		a, err := p.Operate(t.Context(), p.resident(spoil), breakGlass("p1"))
		p.refused(a, err, Denied)
		if ev := p.rec.last(); ev.Outcome != audit.MinorFailure || ev.Subtype != "break-glass-start" {
			t.Errorf("%s leaves no event: %+v", name, ev)
		}
	}
	if all, err := p.book.All(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("%d accesses, %v", len(all), err)
	}
}

func TestGlassIsNotBrokenWithoutAReason(t *testing.T) {
	t.Parallel()
	p := emergencyWard(t)
	c := p.resident(nil)
	for name, body := range map[string]string{
		"nothing":        `{"resourceType":"Parameters"}`,
		"unknown reason": strings.Replace(emergencyBody, "ETREAT", "CURIOUS", 1),
		"no text":        strings.Replace(emergencyBody, "unconscious in the emergency room", "x", 1),
		"two hours":      strings.Replace(emergencyBody, `"parameter":[`, `"parameter":[{"name":"minutes","valueInteger":61},`, 1),
		"no time":        strings.Replace(emergencyBody, `"parameter":[`, `"parameter":[{"name":"minutes","valueInteger":0},`, 1),
		"another one":    strings.Replace(emergencyBody, `"text"`, `"patient"`, 1),
	} {
		in := breakGlass("p1")
		in.Body = []byte(body)
		a, err := p.Operate(t.Context(), c, in)
		if p.refused(a, err, Malformed); strings.Contains(err.Error(), "CURIOUS") {
			t.Errorf("%s: the refusal holds a value", name)
		}
	}
	a, err := p.Operate(t.Context(), c, breakGlass("p9"))
	p.refused(a, err, NotFound)
}

// An access is the account's and the client's that asked for it, until its end.
func TestGrantIsNoUseToAnyoneElseOrLater(t *testing.T) {
	t.Parallel()
	p := emergencyWard(t)
	c := p.resident(nil)
	grant := p.grant(p.Operate(t.Context(), c, breakGlass("p1")))
	other := p.resident(func(c *token.Claims) { c.Account = "user:thief" })
	client := p.resident(func(c *token.Claims) { c.Client = "stolen" })
	var texts []string
	for _, try := range []struct {
		c  Call
		id string
	}{{other, grant}, {client, grant}, {c, glass.NewID()}, {c, ""}, {c, strings.Repeat("x", 5000)}} {
		u, err := p.Under(t.Context(), try.c, try.id)
		p.refused(nil, err, Denied)
		if _, held := u.Subject.Glass(); held {
			t.Error("the access is in force")
		}
		texts = append(texts, err.Error())
	}
	if slices.Sort(texts); texts[0] != texts[len(texts)-1] {
		t.Errorf("the refusals differ: %q", texts)
	}
	a, err := p.Operate(t.Context(), other, Invocation{Code: "break-glass-end", Type: "Patient", ID: "p1", Query: "grant=" + grant})
	p.refused(a, err, Denied)
	a, err = p.Operate(t.Context(), c, Invocation{Code: "break-glass-end", Type: "Patient", ID: "p2", Query: "grant=" + grant})
	p.refused(a, err, Denied)
	p.under(c, grant)
	if _, err = p.Operate(t.Context(), c, Invocation{Code: "break-glass-end", Type: "Patient", ID: "p1", Query: "grant=" + grant}); err != nil {
		t.Fatal(err)
	}
	if ev := p.rec.last(); ev.Subtype != "break-glass-stop" {
		t.Errorf("the end leaves %+v", ev)
	}
	_, err = p.Under(t.Context(), c, grant)
	p.refused(nil, err, Denied)
	again := p.grant(p.Operate(t.Context(), c, breakGlass("p1")))
	p.clock.Advance(glass.MaxLife)
	_, err = p.Under(t.Context(), c, again)
	p.refused(nil, err, Denied)
}

func TestDenyRuleHoldsInAnEmergency(t *testing.T) {
	t.Parallel()
	p := emergencyWard(t)
	label := `"meta":{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]},`
	p.put("Observation", "secret", `{"resourceType":"Observation","id":"secret",`+label+`"status":"final","code":{"coding":[{"code":"c"}]},"subject":{"reference":"Patient/p1"},"valueString":"told in confidence"}`)
	u := p.broken(p.resident(nil), "p1")
	a, err := p.Read(t.Context(), u, "Observation", "secret")
	if p.must(err); bytes.Contains(a.Body(), []byte("confidence")) || !bytes.Contains(a.Body(), []byte(`"code":"c"`)) {
		t.Errorf("a denial of the usual purpose was lifted: %s", a.Body())
	}
}

// Every event under the access names it, its reason and the purpose; the text
// stands in the sealed query of its beginning alone.
func TestEveryAccessUnderABrokenGlassIsRecordedWithItsGrant(t *testing.T) {
	t.Parallel()
	p := emergencyWard(t)
	c := p.resident(nil)
	grant := p.grant(p.Operate(t.Context(), c, breakGlass("p1")))
	if ev := p.rec.last(); ev.Outcome != audit.Intent || ev.Subtype != "break-glass-start" || !strings.Contains(ev.Query, "unconscious") || len(ev.Entities) != 1 || ev.Entities[0].ID != "p1" {
		t.Errorf("the beginning leaves %+v", ev)
	}
	u := p.under(c, grant)
	if !strings.Contains(u.Banner(), grant) || !strings.Contains(u.Banner(), "ETREAT") || strings.Contains(u.Banner(), "p1") {
		t.Errorf("banner %q", u.Banner())
	}
	for name, read := range map[string]func() (*Answer, error){
		"read":   func() (*Answer, error) { return p.Read(t.Context(), u, "Patient", "p1") },
		"search": func() (*Answer, error) { return p.Search(t.Context(), u, "Observation", "patient=p1") },
		"denial": func() (*Answer, error) { return p.Read(t.Context(), u, "Patient", "p2") },
	} {
		_, _ = read()
		ev := p.rec.last()
		if ev.Agent.Purpose != "BTG" || !slices.Contains(ev.Agent.Roles, "break-glass:"+grant+":ETREAT") {
			t.Errorf("%s: %+v", name, ev.Agent)
		}
	}
}

// Without a durable record of it no access begins.
func TestGlassIsNotBrokenWithoutATrail(t *testing.T) {
	t.Parallel()
	p := emergencyWard(t)
	c := p.resident(nil)
	p.rec.fail(always)
	a, err := p.Operate(t.Context(), c, breakGlass("p1"))
	p.refused(a, err, Unavailable)
	p.rec.fail(nil)
	if all, err := p.book.All(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("%d accesses, %v", len(all), err)
	}
}

func TestOwnOperationDefinitionsAreValid(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	for _, o := range OwnOperations(base) {
		a, err := p.Read(t.Context(), p.as("clinician"), "OperationDefinition", strings.TrimPrefix(o.URL, base+"/OperationDefinition/"))
		p.must(err)
		r, err := fhir.Parse(a.Body(), fhir.DefaultLimits)
		p.must(err)
		if issues := validation.New(p.Definitions).Validate(r); issues.HasErrors() {
			t.Errorf("$%s: %v", o.Code, issues)
		}
	}
}

// By the built-in rules a Consent does not close the record in an emergency,
// but what is labelled as specially protected stays closed unless the Consent
// permits it.
func TestConsentInAnEmergency(t *testing.T) {
	t.Parallel()
	p := emergencyWard(t)
	hiv := `"meta":{"security":[{"system":"` + label.Sensitivity + `","code":"HIV"}]},`
	p.put("Observation", "hiv", `{"resourceType":"Observation","id":"hiv",`+hiv+`"status":"final","code":{"text":"c"},"subject":{"reference":"Patient/p1"}}`)
	c := p.resident(func(c *token.Claims) { c.Roles = []string{"role:physician"} })
	a, err := p.Read(t.Context(), c, "Observation", "o-p1") // cares for nobody
	p.refused(a, err, NotFound)
	for rule, sees := range map[string]bool{denyAll: false, `"provision":{"type":"permit"}`: true} {
		p.put("Consent", "cp1", consentOf("p1", rule))
		u := p.broken(c, "p1")
		if _, err := p.Read(t.Context(), u, "Observation", "o-p1"); err != nil {
			t.Errorf("%s closes the record in an emergency: %v", rule, err)
		}
		a, err := p.Read(t.Context(), u, "Observation", "hiv")
		if (err == nil) != sees {
			t.Errorf("%s: what is specially protected: %v", rule, err)
		}
		if err != nil {
			p.refused(a, err, NotFound)
		}
	}
}
