package interaction

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// wing is a hospital with wards and beds, one circle of locations, and who was
// where.
func wing(t *testing.T) *shop {
	p := newShop(t)
	for id, part := range map[string]string{"house": "", "ward": "house", "bed": "ward", "other": "", "a": "b", "b": "a"} {
		of := ""
		if part != "" {
			of = `,"partOf":{"reference":"Location/` + part + `"}`
		}
		p.put("Location", id, fmt.Sprintf(`{"resourceType":"Location","id":%q,"name":"L"%s}`, id, of))
	}
	for id, at := range map[string]string{"e1": "Location/bed", "e2": "Location/ward", "e3": "Location/other", "e4": "Location/b", "e5": "Location/gone", "e6": "http://elsewhere.test/fhir/Location/ward"} {
		p.put("Encounter", id, fmt.Sprintf(`{"resourceType":"Encounter","id":%q,"status":"finished","class":{"code":"AMB"},"location":[{"location":{"reference":%q}}]}`, id, at))
	}
	return p
}

// R4 search.html#recurse.
func TestReferencesFollowHierarchies(t *testing.T) {
	t.Parallel()
	p := wing(t)
	for target, want := range map[string]string{
		"Encounter?location:below=house":                                    "e1 e2",
		"Encounter?location:below=Location/ward":                            "e1 e2",
		"Encounter?location:below=bed,other":                                "e1 e3",
		"Encounter?location:above=bed":                                      "e1 e2",
		"Encounter?location:above=house":                                    "",
		"Encounter?location:below=a":                                        "e4", // a circle ends
		"Encounter?location:above=a":                                        "e4",
		"Encounter?location:below=gone":                                     "e5", // itself, stored or not
		"Encounter?location:below=http://elsewhere.test/fhir/Location/ward": "e6",
		"Encounter?location:below=house&_id=e2":                             "e2",
		"Location?partof:below=house":                                       "bed ward",
		"Location?_has:Encounter:location:_id=e1&partof:below=house":        "bed",
		"Encounter?location.partof:below=house":                             "e1 e2",
	} {
		var got []string
		for _, id := range p.found("clinician", target).ids("match") {
			got = append(got, id[strings.Index(id, "/")+1:])
		}
		if slices.Sort(got); !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("%s: got %v, want %s", target, got, want)
		}
	}
}

func TestHierarchiesAreRefusedByName(t *testing.T) {
	t.Parallel()
	p := wing(t)
	for _, target := range []string{"Encounter?subject:below=x", "Encounter?location:below=", "Observation?subject:below=Patient/x"} {
		a, err := p.ask(p.as("clinician"), target)
		p.refused(a, err, Malformed)
		if f := failure(err); len(f.Issues[0].Expression) == 0 && !strings.Contains(f.Error(), "subject:below") {
			t.Errorf("%s: %v does not name the parameter", target, f)
		}
	}
}

// TestUndecidableValueSetsAreRefused: an answer without the codes could be
// wrong, and is no fault of the server.
func TestUndecidableValueSetsAreRefused(t *testing.T) {
	t.Parallel()
	p := library(t)
	for target, code := range map[string]string{
		"Observation?code:in=http://nowhere.test/vs":                         "not-found",
		"Observation?code:not-in=http://nowhere.test/vs":                     "not-found",
		"Observation?code:in=http://hl7.org/fhir/ValueSet/observation-codes": "not-supported",
		"Observation?code:below=http://loinc.org%7Cunheard-of":               "not-supported",
		"Observation?code:above=http://loinc.org%7Cunheard-of":               "not-supported",
	} {
		a, err := p.ask(p.as("clinician"), target)
		p.refused(a, err, Malformed)
		f := failure(err)
		if f.Issues[0].Code != code || !slices.Equal(f.Issues[0].Expression, []string{"http.code"}) || strings.Contains(f.Error(), "nowhere") || strings.Contains(f.Error(), "unheard") {
			t.Errorf("%s: %+v", target, f.Issues)
		}
	}
}

// TestListedCodesArePlanned: what the terminology can list selects.
func TestListedCodesArePlanned(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	const classes = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
	for i, class := range []string{"AMB", "IMP", "ACUTE", "NONAC", "LAB", "nonsense"} {
		p.put("Encounter", fmt.Sprintf("e%d", i), fmt.Sprintf(`{"resourceType":"Encounter","id":"e%d","status":"finished","class":{"system":%q,"code":%q}}`, i, classes, class))
	}
	p.put("Encounter", "bare", `{"resourceType":"Encounter","id":"bare","status":"finished","class":{"code":"ACUTE"}}`)
	for query, want := range map[string]string{
		"class:below=" + classes + "%7CIMP":                                    "e1 e2 e3",
		"class:above=" + classes + "%7CACUTE":                                  "e1 e2",
		"class:in=http://terminology.hl7.org/ValueSet/v3-ActEncounterCode":     "bare e0 e1 e2 e3",
		"class:below=" + classes + "%7Cunheard-of":                             "",
		"class:below=" + classes + "%7Cnonsense":                               "e5",
		"class:below=%7CACUTE":                                                 "bare",
		"class:not-in=http://terminology.hl7.org/ValueSet/v3-ActEncounterCode": "e4 e5",
	} {
		var got []string
		for _, id := range p.found("clinician", "Encounter?"+query).ids("match") {
			got = append(got, strings.TrimPrefix(id, "Encounter/"))
		}
		if slices.Sort(got); !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("%s: got %v, want %s", query, got, want)
		}
		x, err := p.Explain(t.Context(), p.as("clinician"), "Encounter?"+query)
		p.must(err)
		if used := x.Parts[0].Clauses[0].Used; used == strings.Contains(query, "not-in") {
			t.Errorf("%s: answered by the index: %v", query, used)
		}
	}
}

// TestSystemSearchLooksWhereTheCallerMay: without _type every type that the
// caller may search, with it the named ones or a refusal (R4 search.html#all).
func TestSystemSearchLooksWhereTheCallerMay(t *testing.T) {
	t.Parallel()
	p := library(t)
	for role, want := range map[string]int{"clinician": 3, "patient": 3, "integration": 3} {
		for _, order := range []string{"", "&_sort=-_lastUpdated", "&_sort=_id&_count=500"} {
			if got := p.found(role, "?_id=p1,b1,o1"+order).ids("match"); len(got) != want {
				t.Errorf("%s%s finds %v", role, order, got)
			}
		}
	}
	for _, target := range []string{"?_type=AuditEvent&_id=x", "?_type=Patient,AuditEvent"} {
		for _, role := range []string{"clinician", "privacy-officer"} {
			a, err := p.ask(p.as(role), target)
			if f := failure(err); a != nil || f == nil || f.Kind != Malformed && f.Kind != Denied {
				t.Errorf("%s as %s: %v", target, role, err)
			}
		}
	}
}
