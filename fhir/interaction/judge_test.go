package interaction

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/fieldseal/fieldseal/authz/policy"
	"github.com/fieldseal/fieldseal/authz/redact/redacttest"
	"github.com/fieldseal/fieldseal/authz/token"
	"github.com/fieldseal/fieldseal/fhir/search/searchtest"
)

// The systems of security labels (R4 security-labels.html).
const (
	confidentiality = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
	sensitivity     = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
)

// judge says what one role sees of every version of every resource, by a reading
// of docs/policy.md that shares no code with authz, authz/redact, crypto/field
// and fhir/search.
type judge struct {
	everything *searchtest.World // nothing hidden
	views      *redacttest.Reference
	rows       [][]string // of the policy, those of the role
	conceal    bool
	purpose    string
	usual      string // the purpose before the glass was broken
	glass      string // the patient for whom it is broken
	who        string // the person's reference
	patient    string // of the patient itself
	orgs       []string
	keepers    map[string][]string // the elements that name who keeps a resource, by type
	scopes     []string
	cared      []string // patients
	consents   []consentDoc
	births     map[string]string
}

// consentDoc is a Consent as far as the tests write them: one provision.
type consentDoc struct {
	Status    string
	Patient   struct{ Reference string }
	Provision struct {
		Type           string
		Purpose, Class []struct{ Code string }
	}
}

// newJudge reads who the role is, and what others the rules ask about. With a
// glass it is broken for that patient.
func (p *shop) newJudge(role, glass string, texts [][]byte) *judge {
	p.t.Helper()
	reviewed, err := os.ReadFile("../../crypto/field/testdata/classes.golden")
	p.must(err)
	rules, err := os.ReadFile("../../crypto/field/classes.yaml")
	p.must(err)
	views, err := redacttest.New(p.Definitions, reviewed, rules)
	p.must(err)
	j := &judge{views: views, everything: searchtest.New(p.Definitions, subsumption{p.Terminology}, base), births: map[string]string{},
		purpose: "TREAT", scopes: []string{"user/*.cruds"}, keepers: p.keepers(), glass: glass}
	switch role {
	case "doctor":
		j.who = "Practitioner/dr"
	case "scholar":
		j.who, j.purpose = "Practitioner/sc", "HRESCH"
	case "researcher":
		j.purpose = "HRESCH"
	case "patient":
		j.patient, j.purpose, j.scopes = "Patient/p1", "PATRQT", []string{"patient/*.rs"}
	}
	if strings.HasPrefix(role, "any") || strings.HasPrefix(role, "pen") {
		j.who = "Practitioner/dr"
	}
	if _, err := token.DemoClaims(role, "dr", "p1"); err != nil {
		j.orgs = []string{"Organization/o1"}
	}
	if scopes, ok := p.options.scopes[role]; ok {
		j.scopes = scopes
	}
	for line := range strings.Lines(string(policy.Default()) + rows + p.options.rows) {
		cells := strings.Split(line, ",")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if len(cells) > 2 && cells[1] == "role:"+role {
			j.conceal = j.conceal || cells[0] == "role" && strings.Contains(cells[len(cells)-1], "conceal_changes")
			if cells[0] == "p" {
				j.rows = append(j.rows, cells[2:])
			}
		}
	}
	for _, text := range texts {
		p.must(j.know(text))
	}
	if glass != "" {
		j.usual, j.purpose = j.purpose, "BTG"
	}
	return j
}

// keepers are the reviewed elements that name the organizations to which a
// resource belongs.
func (p *shop) keepers() map[string][]string {
	p.t.Helper()
	reviewed, err := os.ReadFile("../compartment/organization.yaml")
	p.must(err)
	keepers := map[string][]string{}
	for line := range strings.Lines(string(reviewed)) {
		if typ, paths, ok := strings.Cut(strings.TrimSpace(line), ": "); ok && !strings.HasPrefix(line, "#") {
			keepers[typ] = strings.Split(strings.Trim(paths, "[]"), ", ")
		}
	}
	return keepers
}

// know takes a resource, nothing hidden.
func (j *judge) know(text []byte) error {
	r := j.everything.Add(text)
	var d struct {
		Status      string
		BirthDate   string
		Subject     struct{ Reference string }
		Participant []struct{ Member struct{ Reference string } }
	}
	switch r.Type {
	case "CareTeam":
		if err := json.Unmarshal(text, &d); err != nil {
			return err
		}
		for _, part := range d.Participant {
			if j.who != "" && part.Member.Reference == j.who && d.Status == "active" {
				j.cared = append(j.cared, d.Subject.Reference)
			}
		}
	case "Patient":
		if err := json.Unmarshal(text, &d); err != nil {
			return err
		}
		j.births[r.Ref] = d.BirthDate
	case "Consent":
		var c consentDoc
		if err := json.Unmarshal(text, &c); err != nil {
			return err
		}
		j.consents = append(j.consents, c)
	}
	return nil
}

// view is what the role sees of a version; nil when it does not exist for it.
// Earlier versions are judged by the current one too.
func (j *judge) view(text, current []byte) []byte { return j.as(j.views.View, text, current) }

// searched is what a search by the role reads of a version.
func (j *judge) searched(text []byte) []byte { return j.as(j.views.Searched, text, nil) }

func (j *judge) as(view func([]byte, redacttest.Mask, bool) []byte, text, current []byte) []byte {
	mask := j.mask(text, "read")
	if current != nil {
		now := j.mask(current, "read")
		if j.views.View(current, now, j.conceal) == nil {
			return nil
		}
		for class := range mask {
			mask[class] = mask[class] && now[class]
		}
	}
	for _, seen := range mask {
		if seen {
			return view(text, mask, j.conceal)
		}
	}
	return nil
}

// mask is the classes of a version that the role may read or write: some row
// allows, none denies, and some scope reaches it. Under a broken glass what lies
// outside of that one compartment is out of reach.
func (j *judge) mask(text []byte, action string) redacttest.Mask {
	c, mask := j.candidate(text, action), redacttest.Mask{}
	for _, effect := range []string{"allow", "deny"} {
		for _, row := range j.rows {
			if row[5] != effect || !c.applies(row) {
				continue
			}
			for _, class := range redacttest.Classes {
				if row[2] == "*" || slices.Contains(strings.Split(row[2], "|"), class) {
					mask[class] = effect == "allow"
				}
			}
		}
	}
	if !c.reached(mask) || j.glass != "" && !c.holds("btg") && !c.holds("not_patient_data") {
		return nil
	}
	return mask
}

func (j *judge) candidate(text []byte, action string) candidate {
	r := searchtest.New(j.everything.Definitions, j.everything.Terminology, base).Add(text)
	c := candidate{j: j, r: r, patients: j.everything.Compartments(r, "Patient"), action: action}
	var meta struct {
		Meta struct {
			Security []struct{ System, Code string }
		}
	}
	if err := json.Unmarshal(text, &meta); err != nil {
		panic(err)
	}
	for _, l := range meta.Meta.Security {
		known := len(l.Code) == 1 && strings.Contains("ULMNRV", l.Code)
		switch {
		case l.System == confidentiality && !known:
			c.labels = append(c.labels, confidentiality+"|V") // what it may mean is not known
		case l.System == "" && known:
			c.labels = append(c.labels, confidentiality+"|"+l.Code)
		case l.System == "" && l.Code != "":
			c.labels = append(c.labels, sensitivity+"|"+l.Code)
		case l.Code != "":
			c.labels = append(c.labels, l.System+"|"+l.Code)
		}
	}
	return c
}

// candidate is a version that is judged.
type candidate struct {
	j        *judge
	r        *searchtest.Resource
	action   string
	patients []string
	labels   []string
}

// applies reports whether a row is about the resource and its conditions hold.
func (c *candidate) applies(row []string) bool {
	types, actions, purposes := strings.Split(row[0], "|"), strings.Split(row[1], "|"), strings.Split(row[3], "|")
	return (slices.Contains(types, "*") || slices.Contains(types, c.r.Type) || slices.Contains(types, "record") && c.r.Type != "AuditEvent") &&
		slices.Contains(actions, c.action) && (row[3] == "*" || slices.Contains(purposes, c.j.purpose) || row[5] == "deny" && slices.Contains(purposes, c.j.usual)) &&
		!slices.ContainsFunc(strings.Split(row[4], "&"), func(cond string) bool { return !c.holds(strings.TrimSpace(cond)) })
}

func (c *candidate) holds(condition string) bool {
	labelled := func(codes ...string) bool {
		return slices.ContainsFunc(codes, func(code string) bool { return slices.Contains(c.labels, confidentiality+"|"+code) })
	}
	every := func(holds func(patient string) bool) bool {
		return len(c.patients) > 0 && !slices.ContainsFunc(c.patients, func(patient string) bool { return !holds(patient) })
	}
	switch condition {
	case "all_patients":
		return true
	case "restricted_label":
		return labelled("R", "V")
	case "not_restricted_label":
		return !labelled("R", "V")
	case "own_compartment":
		return slices.Contains(c.patients, c.j.patient)
	case "not_patient_data":
		return len(c.patients) == 0 && c.j.everything.Definitions.Compartment("Patient").Params(c.r.Type) == nil
	case "relationship":
		return slices.ContainsFunc(c.patients, func(patient string) bool { return slices.Contains(c.j.cared, patient) })
	case "consent":
		return every(c.consented)
	case "adult":
		return every(func(patient string) bool {
			birth := c.j.births[patient]
			last := birth + map[int]string{4: "-12-31", 7: "-31"}[len(birth)]
			return birth != "" && last < time.Now().UTC().AddDate(-18, 0, 0).Format(time.DateOnly)
		})
	case "not_author":
		return !slices.ContainsFunc([]string{"author", "recorder", "asserter", "performer", "requester", "assessor", "sender", "enterer"}, func(code string) bool {
			sp := c.j.everything.Definitions.SearchParameter(c.r.Type, code)
			return sp != nil && sp.Type == "reference" && slices.Contains(c.j.everything.Targets(c.r, code), c.j.who)
		})
	case "btg":
		return slices.Contains(c.patients, c.j.glass)
	case "org":
		return slices.ContainsFunc(c.keptBy(), func(org string) bool { return slices.Contains(c.j.orgs, org) })
	}
	if clearance, ok := strings.CutPrefix(condition, "label("); ok {
		parts := strings.Split(strings.TrimSuffix(clearance, ")"), "+")
		above := strings.Split("ULMNRV"[strings.Index("ULMNRV", parts[0])+1:], "")
		return !labelled(above...) && !slices.ContainsFunc(c.categories(), func(category string) bool {
			return !slices.Contains(parts[1:], category) && !slices.Contains(parts[1:], "*")
		})
	}
	panic(fmt.Sprint("the judge does not know ", condition))
}

// categories are the sensitivity categories of the labels.
func (c *candidate) categories() (codes []string) {
	for _, l := range c.labels {
		if code, ok := strings.CutPrefix(l, sensitivity+"|"); ok {
			codes = append(codes, code)
		}
	}
	return codes
}

// keptBy are the organizations to which the resource belongs.
func (c *candidate) keptBy() (refs []string) {
	for _, element := range c.j.keepers[c.r.Type] {
		if element == "self" {
			return []string{c.r.Ref}
		}
		for _, v := range c.j.everything.Values(c.r, c.r.Type+"."+element) {
			ref, _ := v.(map[string]any)["reference"].(string)
			refs = append(refs, strings.TrimPrefix(ref, base+"/"))
		}
	}
	return refs
}

// consented: every Consent that says something permits; without any, research
// and marketing are denied. An emergency is stopped only before what is very
// restricted or of a category.
func (c *candidate) consented(patient string) bool {
	if c.j.purpose == "BTG" && c.holds("label(R)") {
		return true
	}
	said := false
	for _, d := range c.j.consents {
		named := func(list []struct{ Code string }, code string) bool {
			return len(list) == 0 || slices.ContainsFunc(list, func(x struct{ Code string }) bool { return x.Code == code })
		}
		if d.Status != "active" || d.Patient.Reference != patient || !named(d.Provision.Purpose, c.j.purpose) || !named(d.Provision.Class, c.r.Type) {
			continue
		}
		if d.Provision.Type != "permit" {
			return false
		}
		said = true
	}
	return said || c.j.purpose != "HRESCH"
}

// reached reports whether one of the scopes reaches the resource.
func (c *candidate) reached(mask redacttest.Mask) bool {
	return slices.ContainsFunc(c.j.scopes, func(scope string) bool {
		what, query, granular := strings.Cut(scope, "?")
		level, rest, _ := strings.Cut(what, "/")
		typ, _, _ := strings.Cut(rest, ".")
		switch {
		case typ != "*" && typ != c.r.Type:
			return false
		case level == "patient" && !slices.Contains(c.patients, c.j.patient) && !c.holds("not_patient_data"):
			return false
		case granular: // the tests ask for a category, which is clinical
			return mask["clinical"] && c.j.everything.Holds(c.r, query)
		}
		return true
	})
}
