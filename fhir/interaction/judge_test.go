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
	"github.com/fieldseal/fieldseal/fhir/search/searchtest"
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
	who        string // the person's reference
	patient    string // of the patient itself
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

// newJudge reads who the role is, and what others the rules ask about.
func (p *shop) newJudge(role string, texts [][]byte) *judge {
	p.t.Helper()
	reviewed, err := os.ReadFile("../../crypto/field/testdata/classes.golden")
	p.must(err)
	rules, err := os.ReadFile("../../crypto/field/classes.yaml")
	p.must(err)
	views, err := redacttest.New(p.Definitions, reviewed, rules)
	p.must(err)
	j := &judge{views: views, everything: searchtest.New(p.Definitions, subsumption{p.Terminology}, base), births: map[string]string{},
		purpose: "TREAT", scopes: []string{"user/*.cruds"}}
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
	if strings.HasPrefix(role, "any") {
		j.who = "Practitioner/dr"
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
	return j
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
func (j *judge) view(text, current []byte) []byte {
	mask := j.mask(text)
	if current != nil {
		now := j.mask(current)
		if j.views.View(current, now, j.conceal) == nil {
			return nil
		}
		for class := range mask {
			mask[class] = mask[class] && now[class]
		}
	}
	for _, seen := range mask {
		if seen {
			return j.views.View(text, mask, j.conceal)
		}
	}
	return nil
}

// mask is the classes that the role sees of a version: some row allows, none
// denies, and some scope reaches it.
func (j *judge) mask(text []byte) redacttest.Mask {
	r := searchtest.New(j.everything.Definitions, j.everything.Terminology, base).Add(text)
	c := candidate{j: j, r: r, patients: j.everything.Compartments(r, "Patient")}
	var meta struct {
		Meta struct {
			Security []struct{ System, Code string }
		}
	}
	if err := json.Unmarshal(text, &meta); err != nil {
		panic(err)
	}
	for _, l := range meta.Meta.Security {
		c.labels = append(c.labels, l.System+"|"+l.Code)
	}
	mask := redacttest.Mask{}
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
	if !c.reached(mask) {
		return nil
	}
	return mask
}

// candidate is a version that is judged.
type candidate struct {
	j        *judge
	r        *searchtest.Resource
	patients []string
	labels   []string
}

// applies reports whether a row is about the resource and its conditions hold.
func (c *candidate) applies(row []string) bool {
	types, actions, purposes := strings.Split(row[0], "|"), strings.Split(row[1], "|"), strings.Split(row[3], "|")
	return (slices.Contains(types, "*") || slices.Contains(types, c.r.Type) || slices.Contains(types, "record") && c.r.Type != "AuditEvent") &&
		slices.Contains(actions, "read") && (row[3] == "*" || slices.Contains(purposes, c.j.purpose)) &&
		!slices.ContainsFunc(strings.Split(row[4], "&"), func(cond string) bool { return !c.holds(strings.TrimSpace(cond)) })
}

func (c *candidate) holds(condition string) bool {
	const confidentiality = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality|"
	labelled := func(codes ...string) bool {
		return slices.ContainsFunc(codes, func(code string) bool {
			return slices.Contains(c.labels, confidentiality+code) || slices.Contains(c.labels, "|"+code)
		})
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
	case "label(R)":
		return !labelled("V")
	case "label(N)":
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
		return false // nobody breaks the glass here
	}
	if strings.HasPrefix(condition, "label(V") {
		return true
	}
	panic(fmt.Sprint("the judge does not know ", condition))
}

// consented: every Consent that says something permits; without any, research
// and marketing are denied.
func (c *candidate) consented(patient string) bool {
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
