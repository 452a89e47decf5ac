package interaction

import (
	"slices"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/authz/label"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir"
)

const houseRules = `
- labels: [R, HIV]
  codes: ["http://loinc.org|75622-1"]
- labels: [PSY]
  types: [Condition]
  valueSets: ["http://hl7.org/fhir/ValueSet/observation-status"]
`

// labelOf makes a coding of meta.security.
func labelOf(code string) string {
	system := label.Sensitivity
	if _, level := label.ParseLevel(code); level {
		system = label.Confidentiality
	}
	return `{"system":"` + system + `","code":"` + code + `"}`
}

func labelled(id, code string, labels ...string) string {
	meta := ""
	for i, l := range labels {
		labels[i] = labelOf(l)
	}
	if len(labels) > 0 {
		meta = `"meta":{"security":[` + strings.Join(labels, ",") + `]},`
	}
	return `{"resourceType":"Observation","id":"` + id + `",` + meta + `"status":"final","code":{"coding":[{"system":"http://loinc.org","code":"` + code + `"}]},"subject":{"reference":"Patient/p1"}}`
}

// securityOf are the codes of meta.security.
func securityOf(n *fhir.Node) (codes []string) {
	list := n.Member("meta").Member("security")
	for i := 0; list != nil && i < list.Len(); i++ {
		codes = append(codes, list.At(i).Member("code").Text())
	}
	return codes
}

func (p *shop) current(typ, id string) *fhir.Node {
	p.t.Helper()
	return p.bundleOf(p.Read(p.t.Context(), p.as("integration"), typ, id))
}

// TestWhatIsWrittenIsLabelled: by code and by value set, in a create, an update,
// a patch and a transaction; what the client sent stays.
func TestWhatIsWrittenIsLabelled(t *testing.T) {
	t.Parallel()
	p := cared(t)
	var err error
	p.Labels, err = label.Parse([]byte(houseRules), p.Definitions.ResourceTypes())
	p.must(err)
	sent := strings.Replace(labelled("l", "75622-1", "V"), `"security"`, `"tag":[{"system":"urn:t","code":"x"}],"security"`, 1)
	p.put("Observation", "l", sent)
	got := p.current("Observation", "l")
	if codes := securityOf(got); !slices.Equal(codes, []string{"V", "R", "HIV"}) || got.Member("meta").Member("tag") == nil {
		t.Errorf("labels %v", codes)
	}
	p.put("Observation", "l2", labelled("l2", "other"))
	if codes := securityOf(p.current("Observation", "l2")); codes != nil {
		t.Errorf("labels without a reason: %v", codes)
	}
	p.put("Condition", "k", `{"resourceType":"Condition","id":"k","code":{"coding":[{"system":"http://hl7.org/fhir/observation-status","code":"final"}]},"subject":{"reference":"Patient/p1"}}`)
	if codes := securityOf(p.current("Condition", "k")); !slices.Equal(codes, []string{"PSY"}) {
		t.Errorf("by value set: %v", codes)
	}
	_, err = p.patchBy("integration", "Observation", "l2", `[{"op":"replace","path":"/code/coding/0/code","value":"75622-1"}]`)
	p.must(err)
	if codes := securityOf(p.current("Observation", "l2")); !slices.Equal(codes, []string{"R", "HIV"}) {
		t.Errorf("by a patch: %v", codes)
	}
	if p.mayRead("doctor", "Observation", "l2") {
		t.Error("read without clearance for the category")
	}
	p.load([]byte(`{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"PUT","url":"Observation/l3"},"resource":` + labelled("l3", "75622-1") + `}]}`))
	if codes := securityOf(p.current("Observation", "l3")); !slices.Equal(codes, []string{"R", "HIV"}) {
		t.Errorf("by a transaction: %v", codes)
	}
}

// TestLabelDowngradeIsRefused (abuse 55): who lacks the action relabel lowers no
// label by an update, a patch, a deletion and a new start, or $meta-delete; who
// has it leaves a trace of its own.
func TestLabelDowngradeIsRefused(t *testing.T) {
	t.Parallel()
	p := cared(t)
	again := func() { p.put("Observation", "d", labelled("d", "x", "R", "HIV")) }
	again()
	update := func(role string, labels ...string) error {
		_, err := p.Update(t.Context(), p.as(role), "Observation", "d", []byte(labelled("d", "x", labels...)))
		return err
	}
	for _, labels := range [][]string{nil, {"R"}, {"HIV"}, {"N", "HIV"}, {"R", "PSY"}} {
		p.refused(nil, update("clinician", slices.Clone(labels)...), Denied)
	}
	_, err := p.patchBy("clinician", "Observation", "d", `[{"op":"remove","path":"/meta/security/0"}]`)
	p.refused(nil, err, Denied)
	meta := `{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"security":[` + labelOf("HIV") + `]}}]}`
	remove := Invocation{Code: "meta-delete", Type: "Observation", ID: "d", Body: []byte(meta)}
	_, err = p.operateAs("clinician", remove)
	p.refused(nil, err, Denied)
	p.must(update("clinician", "V", "HIV", "PSY"))
	again() // the integration may
	if ev := p.rec.last(); ev.Reason != "label-lowered" {
		t.Errorf("lowering a label is recorded as %q", ev.Reason)
	}
	_, err = p.Delete(t.Context(), p.as("clinician"), "Observation", "d")
	p.must(err)
	p.refused(nil, update("clinician", "R"), Denied)
	p.must(update("clinician", "R", "HIV"))
	_, err = p.operateAs("integration", remove)
	p.must(err)
	if codes := securityOf(p.current("Observation", "d")); !slices.Equal(codes, []string{"R"}) {
		t.Errorf("labels %v", codes)
	}
	p.must(update("clinician", "R"))
	if ev := p.rec.last(); ev.Reason != "" {
		t.Errorf("an ordinary update is recorded as %q", ev.Reason)
	}
}

// TestBundleCarriesTheHighestLabel: of searches, histories, operations and
// batches; not to callers who may not see labels.
func TestBundleCarriesTheHighestLabel(t *testing.T) {
	t.Parallel()
	p := cared(t)
	p.put("Observation", "m1", labelled("m1", "m", "L", "PSY"))
	p.put("Observation", "m2", labelled("m2", "m", "V"))
	p.put("Observation", "m3", labelled("m3", "m"))
	c, ctx := p.as("integration"), t.Context()
	everything, err := p.operateAs("integration", Invocation{Code: "everything", Type: "Patient", ID: "p1"})
	p.must(err)
	stream, err := fhir.Parse(everything, fhir.DefaultLimits)
	p.must(err)
	for name, b := range map[string]*fhir.Node{
		"search":     p.bundleOf(p.Search(ctx, c, "Observation", "code=m")),
		"include":    p.bundleOf(p.Search(ctx, c, "Patient", "_id=p1&_revinclude=Observation:subject")),
		"history":    p.bundleOf(p.HistoryType(ctx, c, "Observation", "_count=100")),
		"everything": stream.Root(),
		"batch": p.bundleOf(p.Bundle(ctx, c, []byte(`{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET","url":"Observation/m2"}},`+
			`{"request":{"method":"GET","url":"Observation?code=m&_count=3"}}]}`))),
	} {
		if codes := securityOf(b); !slices.Equal(codes, []string{"V", "PSY"}) {
			t.Errorf("%s: %v", name, codes)
		}
	}
	if codes := securityOf(p.bundleOf(p.Search(ctx, c, "Observation", "_id=m1"))); !slices.Equal(codes, []string{"L", "PSY"}) {
		t.Errorf("one entry: %v", codes)
	}
	if b := p.bundleOf(p.Search(ctx, c, "Observation", "_id=m3")); b.Member("meta") != nil {
		t.Error("a Bundle of unlabelled resources is labelled")
	}
	if codes := securityOf(p.bundleOf(p.Search(ctx, p.as("doctor"), "Observation", "code=m"))); codes != nil {
		t.Errorf("a label of what is withheld: %v", codes)
	}
	if p.shownLabels(field.Head{Security: []field.Label{{Code: "R"}}}, "Observation", field.Set(field.Clinical)) != nil {
		t.Error("labels are shown to who may not see them")
	}
	if p.shownLabels(field.Head{Security: []field.Label{{Code: "R"}}}, "Observation", field.Set(field.Administrative)) == nil {
		t.Error("labels are hidden from who may see them")
	}
}
