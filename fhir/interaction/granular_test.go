package interaction

import (
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/authz/token"
)

const categories = "http://terminology.hl7.org/CodeSystem/observation-category|"

// scoped is a clinician's call through an app that was granted these scopes.
func (p *shop) scoped(role string, scopes ...string) Call {
	p.t.Helper()
	claims, err := token.DemoClaims(role, "dr", "p1")
	p.must(err)
	claims.Scopes = scopes
	opaque, err := p.tokens.Issue(p.t.Context(), claims)
	p.must(err)
	s, err := p.tokens.Verify(p.t.Context(), opaque, "192.0.2.1")
	p.must(err)
	return Call{Subject: s, RequestID: "r1"}
}

func observation(id, category, patient string) string {
	return `{"resourceType":"Observation","id":"` + id + `","status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"` +
		category + `"}]}],"code":{"text":"x"},"subject":{"reference":"Patient/` + patient + `"}}`
}

// labShop holds a laboratory value and vital signs of one patient and a
// condition that points at the vital signs.
func labShop(t *testing.T) *shop {
	t.Helper()
	p := newShop(t)
	p.put("Patient", "p1", patient)
	p.put("Observation", "lab", observation("lab", "laboratory", "p1"))
	p.put("Observation", "vital", observation("vital", "vital-signs", "p1"))
	p.put("DiagnosticReport", "r", `{"resourceType":"DiagnosticReport","id":"r","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/p1"},"result":[{"reference":"Observation/lab"},{"reference":"Observation/vital"}]}`)
	return p
}

const labOnly = "user/Observation.rs?category=" + categories + "laboratory"

// The rows are attacks: each asks for the vital signs that the scope leaves out.
func TestGranularScopeIsEnforcedInEveryInteraction(t *testing.T) {
	t.Parallel()
	p := labShop(t)
	c := p.scoped("clinician", labOnly, "user/Patient.rs", "user/DiagnosticReport.rs")
	ctx := t.Context()
	a, err := p.Read(ctx, c, "Observation", "lab")
	p.must(err)
	if !strings.Contains(string(a.Body()), `"laboratory"`) {
		t.Errorf("the laboratory value is not read: %s", a.Body())
	}
	for name, try := range map[string]func() (*Answer, error){
		"read":    func() (*Answer, error) { return p.Read(ctx, c, "Observation", "vital") },
		"vread":   func() (*Answer, error) { return p.VRead(ctx, c, "Observation", "vital", "1") },
		"history": func() (*Answer, error) { return p.History(ctx, c, "Observation", "vital", "") },
		"operation": func() (*Answer, error) {
			return p.Operate(ctx, c, Invocation{Code: "meta", Type: "Observation", ID: "vital"})
		},
	} {
		a, err := try()
		if a != nil {
			t.Errorf("%s: answered", name)
		}
		p.refused(a, err, NotFound)
	}
	for name, try := range map[string]func() (*Answer, error){
		"search":                func() (*Answer, error) { return p.Search(ctx, c, "Observation", "patient=p1") },
		"search for the others": func() (*Answer, error) { return p.Search(ctx, c, "Observation", "category=vital-signs") },
		"search by id":          func() (*Answer, error) { return p.Search(ctx, c, "Observation", "_id=vital,lab") },
		"system search":         func() (*Answer, error) { return p.SearchSystem(ctx, c, "_type=Observation") },
		"compartment":           func() (*Answer, error) { return p.SearchCompartment(ctx, c, "Patient", "p1", "Observation", "") },
		"include": func() (*Answer, error) {
			return p.Search(ctx, c, "DiagnosticReport", "_include=DiagnosticReport:result")
		},
		"revinclude":   func() (*Answer, error) { return p.Search(ctx, c, "Patient", "_revinclude=Observation:subject") },
		"type history": func() (*Answer, error) { return p.HistoryType(ctx, c, "Observation", "") },
		"everything": func() (*Answer, error) {
			return p.Operate(ctx, c, Invocation{Code: "everything", Type: "Patient", ID: "p1"})
		},
		"batch entry": func() (*Answer, error) {
			return p.Bundle(ctx, c, []byte(`{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"Observation/vital"}},{"request":{"method":"GET","url":"Observation?patient=p1"}}]}`))
		},
	} {
		a, err := try()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if body := string(a.Body()); strings.Contains(body, `"code":"vital-signs"`) || strings.Contains(body, `"id":"vital"`) {
			t.Errorf("%s shows what the scope leaves out: %s", name, body)
		}
	}
	a, err = p.Search(ctx, c, "Observation", "_summary=count")
	p.must(err)
	if !strings.Contains(string(a.Body()), `"total":1`) {
		t.Errorf("the number of matches tells of the others: %s", a.Body())
	}
	for name, query := range map[string]string{"chain": "result.category=vital-signs", "chain by id": "result._id=vital"} {
		a, err = p.Search(ctx, c, "DiagnosticReport", query)
		p.must(err)
		if strings.Contains(string(a.Body()), `"id":"r"`) {
			t.Errorf("%s finds by what the scope leaves out", name)
		}
	}
}

// TestWriteMustMatchTheScopeBeforeAndAfter: neither can a resource be written
// out of the scope, nor one outside be pulled into it.
func TestWriteMustMatchTheScopeBeforeAndAfter(t *testing.T) {
	t.Parallel()
	p := labShop(t)
	ctx := t.Context()
	c := p.scoped("clinician", "user/Observation.cud?category="+categories+"laboratory", "user/Observation.r?category="+categories+"laboratory")
	lab, vital := observation("lab", "laboratory", "p1"), observation("vital", "vital-signs", "p1")
	within := func(body string) string { return strings.Replace(body, `"final"`, `"amended"`, 1) }
	a, err := p.Update(ctx, c, "Observation", "lab", []byte(within(lab)))
	p.must(err)
	if a.Status() != 200 {
		t.Errorf("an update within the scope: %d", a.Status())
	}
	a, err = p.Update(ctx, c, "Observation", "lab", []byte(strings.Replace(lab, "laboratory", "vital-signs", 1)))
	p.refused(a, err, Denied)
	a, err = p.Update(ctx, c, "Observation", "vital", []byte(strings.Replace(vital, "vital-signs", "laboratory", 1)))
	p.refused(a, err, NotFound)
	a, err = p.Patch(ctx, c, "Observation", "lab", "application/json-patch+json", []byte(`[{"op":"replace","path":"/category/0/coding/0/code","value":"vital-signs"}]`))
	p.refused(a, err, Denied)
	a, err = p.Create(ctx, c, "Observation", []byte(strings.Replace(vital, `"id":"vital",`, "", 1)))
	p.refused(a, err, Denied)
	a, err = p.Bundle(ctx, c, []byte(`{"resourceType":"Bundle","type":"transaction","entry":[{"resource":`+strings.Replace(vital, `"id":"vital",`, "", 1)+`,"request":{"method":"POST","url":"Observation"}}]}`))
	p.refused(a, err, Denied)
	if _, err = p.Delete(ctx, c, "Observation", "vital"); err != nil || p.version("Observation", "vital") != 1 {
		t.Errorf("vital signs were deleted: %v", err)
	}
	if _, err = p.Delete(ctx, c, "Observation", "lab"); err != nil || p.version("Observation", "lab") != 3 {
		t.Errorf("a deletion within the scope: %v", err)
	}
}

// TestScopeQueryIsNoOracleForHiddenElements: an app that is granted a query
// over elements which the role hides learns nothing from what is found.
func TestScopeQueryIsNoOracleForHiddenElements(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.put("Patient", "p1", patient)
	for _, row := range []struct {
		name, scope string
		found       bool
	}{
		{"visible element", "user/Patient.rs?_id=p1", true},
		{"hidden element", "user/Patient.rs?family:missing=false", false},
		{"unknown parameter", "user/Patient.rs?nonsense=1", false},
		{"parameter of another type", "user/Patient.rs?category=laboratory", false},
		{"chain", "user/Patient.rs?organization.name:missing=false", false},
		{"reverse chain", "user/Patient.rs?_has:Observation:subject:status=final", false},
		{"page size", "user/Patient.rs?_count=1", false},
	} {
		a, err := p.Read(t.Context(), p.scoped("researcher", row.scope), "Patient", "p1")
		if row.found && err != nil {
			t.Errorf("%s: %v", row.name, err)
		}
		if !row.found {
			p.refused(a, err, NotFound)
		}
	}
}
