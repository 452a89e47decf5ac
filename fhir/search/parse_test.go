package search_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/search"
)

// Describe shows what was understood; values are held to by the match tests.
func TestParseConditionsOfASearch(t *testing.T) {
	t.Parallel()
	c := r4Catalog(t)
	tests := []struct{ typ, query, want string }{
		{"Patient", "", "Patient"},
		{"Patient", "_format=json&_pretty=true&&_contained=false", "Patient"},
		{"Patient", "name=a,b&birthdate=ge1980&birthdate=lt1990,2000", "Patient: name string, 2 values and birthdate date ge, 1 value and birthdate date eq/lt, 2 values"},
		{"Patient", "name:exact=a", "Patient: name:exact string, 1 value"},
		{"Patient", `name=a%5C,b`, "Patient: name string, 1 value"},
		{"Patient", "_lastUpdated=gt2020&_tag=x&_security=y&_profile=http://p&_source=http://s", "Patient: _lastUpdated date gt, 1 value and _tag token, 1 value and _security token, 1 value and _profile uri, 1 value and _source uri, 1 value"},
		{"Observation", "subject:Patient.name=a", "Observation: subject(Patient: name string, 1 value)"},
		{"Observation", "patient.organization.name:contains=a", "Observation: patient(Patient: organization(Organization: name:contains string, 1 value))"},
		{"Observation", "subject.name=a", "Observation: subject(Location: name string, 1 value or Patient: name string, 1 value)"},
		{"Observation", "subject:Patient.gender:not=male", "Observation: subject(Patient: gender:not token, 1 value)"},
		{"Patient", "_has:Observation:patient:code=a", "Patient: _has Observation.patient(Observation: code token, 1 value)"},
		{"Patient", "_has:Observation:patient:code:in=http://vs", "Patient: _has Observation.patient(Observation: code:in token, 1 value)"},
		{"Patient", "_has:Observation:patient:_has:AuditEvent:entity:agent=x", "Patient: _has Observation.patient(Observation: _has AuditEvent.entity(AuditEvent: agent reference, 1 value))"},
		{"Patient", "_has:Observation:subject:performer:Practitioner.name=x", "Patient: _has Observation.subject(Observation: performer(Practitioner: name string, 1 value))"},
		{"Encounter", "patient._has:Group:member:_id=g", "Encounter: patient(Patient: _has Group.member(Group: _id token, 1 value))"},
		{"Encounter", "subject._has:Group:member:_id=g", "Encounter: subject(Group: _has Group.member(Group: _id token, 1 value) or Patient: _has Group.member(Group: _id token, 1 value))"},
	}
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			t.Parallel()
			s, err := c.ParseSearch([]string{tt.typ}, tt.query, search.ParseOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, s.Expressions[0].Describe()); diff != "" {
				t.Error(diff)
			}
			if len(s.Ignored) > 0 {
				t.Error(s.Ignored)
			}
		})
	}
}

func TestParseResultParameters(t *testing.T) {
	t.Parallel()
	s, err := r4Catalog(t).ParseSearch([]string{"Observation"},
		"_count=5000&_sort=-date,code,_id,_lastUpdated,subject,value-quantity&_total=accurate&_summary=data&_elements=status,value,subject"+
			"&_include=Observation:subject&_include=Observation:subject:Patient&_include:iterate=Patient:organization&_include:recurse=Patient:organization&_include=Observation:*&_include=*"+
			"&_revinclude=Provenance:target&_revinclude:iterate=*", search.ParseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if s.Count != search.MaxCount || s.Total != search.TotalAccurate || s.Summary != search.SummaryData {
		t.Error(s.Count, s.Total, s.Summary)
	}
	if diff := cmp.Diff([]string{"status", "value", "subject"}, s.Elements); diff != "" {
		t.Error(diff)
	}
	var keys []string
	for _, k := range s.Sort {
		keys = append(keys, fmt.Sprint(k.Code, k.Descending, k.Parameters[0].Kind))
	}
	want := []string{"date true date", "code false token", "_id false token", "_lastUpdated false date", "subject false reference", "value-quantity false quantity"}
	if diff := cmp.Diff(strings.ReplaceAll(strings.Join(want, ";"), " ", ""), strings.ReplaceAll(strings.Join(keys, ";"), " ", "")); diff != "" {
		t.Error(diff)
	}
	var includes []string
	for _, in := range s.Includes {
		code := "*"
		if in.Parameter != nil {
			code = in.Parameter.Code
		}
		includes = append(includes, fmt.Sprintf("%s:%s:%s wildcard=%t reverse=%t iterate=%t", in.Source, code, in.Target, in.Wildcard, in.Reverse, in.Iterate))
	}
	if diff := cmp.Diff([]string{
		"Observation:subject: wildcard=false reverse=false iterate=false",
		"Observation:subject:Patient wildcard=false reverse=false iterate=false",
		"Patient:organization: wildcard=false reverse=false iterate=true",
		"Observation:*: wildcard=true reverse=false iterate=false",
		"*:*: wildcard=true reverse=false iterate=false",
		"Provenance:target: wildcard=false reverse=true iterate=false",
		"*:*: wildcard=true reverse=true iterate=true",
	}, includes); diff != "" {
		t.Error(diff)
	}
}

func TestParseCountZeroAsksForTheCount(t *testing.T) {
	t.Parallel()
	for _, q := range []string{"_count=0", "_summary=true&_count=0", "_count=0&_summary=true"} {
		s, err := r4Catalog(t).ParseSearch([]string{"Patient"}, q, search.ParseOptions{})
		if err != nil || s.Summary != search.SummaryCount || s.Count != 0 {
			t.Errorf("%s: %+v, %v", q, s, err)
		}
	}
}

func TestParseEverySummaryAndTotal(t *testing.T) {
	t.Parallel()
	for i, v := range []string{"false", "true", "text", "data", "count"} {
		s, err := r4Catalog(t).ParseSearch([]string{"Patient"}, "_summary="+v, search.ParseOptions{})
		if err != nil || int(s.Summary) != i || s.Count != -1 {
			t.Errorf("%s: %v", v, err)
		}
	}
	for i, v := range []string{"none", "estimate", "accurate"} {
		s, err := r4Catalog(t).ParseSearch([]string{"Patient"}, "_total="+v, search.ParseOptions{})
		if err != nil || int(s.Total) != i {
			t.Errorf("%s: %v", v, err)
		}
	}
}

func TestParseSystemSearch(t *testing.T) {
	t.Parallel()
	c := r4Catalog(t)
	tests := []struct {
		name, query string
		types       []string
		want        int // expressions; 0 = refused
	}{
		{"types from the query", "_type=Patient,Group&_id=x", nil, 2},
		{"each type once", "_type=Patient,Patient", nil, 1},
		{"common parameters need no type", "_lastUpdated=gt2020&_id=x", nil, 146},
		{"all of the types given", "date=gt2020", []string{"Observation", "Encounter"}, 2},
		{"chosen among the types given", "_type=Observation", []string{"Observation", "Encounter"}, 1},
		{"not among the types given", "_type=Patient", []string{"Observation", "Encounter"}, 0},
		{"other parameters need types", "name=x", nil, 0},
		{"a parameter that one type lacks", "_type=Patient,Observation&birthdate=2000", nil, 0},
		{"a sort key that one type lacks", "_type=Patient,Observation&_sort=birthdate", nil, 0},
		{"a sort key of several kinds", "_type=Subscription,StructureDefinition&_sort=type", nil, 0},
		{"a parameter of several kinds", "_type=Subscription,StructureDefinition&type=x", nil, 2},
		{"type twice", "_type=Patient&_type=Group", nil, 0},
		{"unknown type", "_type=Patients", nil, 0},
		{"of one type", "_type=Patient", []string{"Patient"}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, err := c.ParseSearch(tt.types, tt.query, search.ParseOptions{})
			switch {
			case tt.want == 0 && err == nil:
				t.Error("accepted")
			case tt.want > 0 && (err != nil || len(s.Expressions) != tt.want):
				t.Errorf("%v, %v", s, err)
			}
		})
	}
}

const long = "0123456789"

// Everything that is refused names the parameter, says why, and stays quick.
func TestParseRefusesBadSearches(t *testing.T) {
	t.Parallel()
	c := r4Catalog(t)
	tests := []struct {
		query, parameter string
		want             error
	}{
		{"nmae=x", "nmae", search.ErrUnknownParameter},
		{"name.x=x", "name.x", search.ErrMalformed},
		{"organization.nmae=x", "organization.nmae", search.ErrUnknownParameter},
		{"general-practitioner:Group.name=x", "general-practitioner:Group.name", search.ErrMalformed},
		{"_filter=x", "_filter", search.ErrNotOffered},
		{"_text=x", "_text", search.ErrNotOffered},
		{"_content=x", "_content", search.ErrNotOffered},
		{"_query=x", "_query", search.ErrNotOffered},
		{"_list=x", "_list", search.ErrNotOffered},
		{"_contained=true", "_contained", search.ErrNotOffered},
		{"_contained=both", "_contained", search.ErrNotOffered},
		{"organization._text=x", "organization._text", search.ErrNotOffered},
		{"birthdate=xx2000", "birthdate", search.ErrMalformed},
		{"birthdate=ge", "birthdate", search.ErrMalformed},
		{"birthdate=2000-13", "birthdate", search.ErrMalformed},
		{"birthdate=2000-02-30", "birthdate", search.ErrMalformed},
		{"birthdate=GE2000", "birthdate", search.ErrMalformed},
		{"birthdate=", "birthdate", search.ErrMalformed},
		{"birthdate", "birthdate", search.ErrMalformed},
		{"name=", "name", search.ErrMalformed},
		{"name=a,", "name", search.ErrMalformed},
		{"name=...", "name", search.ErrMalformed},
		{`name=a%5Cb`, "name", search.ErrMalformed},
		{"identifier=a|b|c", "identifier", search.ErrMalformed},
		{"identifier=|", "identifier", search.ErrMalformed},
		{"identifier:of-type=a|b", "identifier:of-type", search.ErrMalformed},
		{"gender:below=urn:s|", "gender:below", search.ErrMalformed},
		{"name:missing=yes", "name:missing", search.ErrMalformed},
		{"name:missing=true,false", "name:missing", search.ErrMalformed},
		{"_id=a/b", "_id", search.ErrMalformed},
		{"_id=a|b", "_id", search.ErrMalformed},
		{"organization=Organization/1/_history/2", "organization", search.ErrMalformed},
		{"organization=" + ownBase + "/Organization/1/_history/2", "organization", search.ErrMalformed},
		{"organization=a b", "organization", search.ErrMalformed},
		{"general-practitioner:Organization=Practitioner/1", "general-practitioner:Organization", search.ErrMalformed},
		{"general-practitioner:Organization=https://far.example/Practitioner/1", "general-practitioner:Organization", search.ErrMalformed},
		{"_profile:below=urn:oid:1.2", "_profile:below", search.ErrMalformed},
		{"_has:Observation:patient=x", "_has:Observation:patient", search.ErrMalformed},
		{"_has:Observation:code:value=x", "_has:Observation:code:value", search.ErrMalformed},
		{"_has:Encounter:location:status=x", "_has:Encounter:location:status", search.ErrMalformed},
		{"_has:Nothing:patient:code=x", "_has:Nothing:patient:code", search.ErrMalformed},
		{"_count=-1", "_count", search.ErrMalformed},
		{"_count=1&_count=2", "_count", search.ErrMalformed},
		{"_total=some", "_total", search.ErrMalformed},
		{"_summary=yes", "_summary", search.ErrMalformed},
		{"_elements=nothing", "_elements", search.ErrMalformed},
		{"_sort=nmae", "_sort", search.ErrUnknownParameter},
		{"_sort=_id,_id,_id,_id,_id,_id,_id,_id,_id", "_sort", search.ErrMalformed},
		{"_sort:asc=name", "_sort:asc", search.ErrModifier},
		{"_include=Patient", "_include", search.ErrMalformed},
		{"_include=Patients:organization", "_include", search.ErrMalformed},
		{"_include=Patient:name", "_include", search.ErrMalformed},
		{"_include=Patient:nmae", "_include", search.ErrUnknownParameter},
		{"_include=Patient:organization:Group", "_include", search.ErrMalformed},
		{"_include:other=Patient:organization", "_include:other", search.ErrModifier},
		{"name=%zz", "name", search.ErrMalformed},
		{"%zz=a", "", search.ErrMalformed},
		{"name=" + strings.Repeat("x", search.MaxValueBytes+1), "name", search.ErrMalformed},
		{"name=" + strings.Repeat(long, 1024), "name", search.ErrMalformed},
		{"name=" + strings.Repeat("x", search.MaxQueryBytes), "", search.ErrMalformed},
		{"name=" + strings.Repeat("x,", 499) + "x", "name", search.ErrMalformed},
		{strings.Repeat("name=x&", search.MaxValues+1), "name", search.ErrMalformed},
		{"link" + strings.Repeat(":Patient.link", 19) + ":Patient.name=x", "link:…", search.ErrMalformed},
		{strings.Repeat("link.", 20) + "name=x", "link.…", search.ErrMalformed},
		{"link.link.link.link.link.link.link.name=x", "link.link.link.link.link.link.link.name", search.ErrMalformed},
		{strings.Repeat("_has:Patient:link:", 7) + "_id=x", "_has:…", search.ErrMalformed},
		{strings.Repeat("token.", 20) + "=x", "(name withheld)", search.ErrUnknownParameter},
		{strings.Repeat("_include=Patient:organization&_include=*&_include:iterate=Group:member&", 1) + manyIncludes(), "_include", search.ErrMalformed},
		{"some body's name=x", "(name withheld)", search.ErrUnknownParameter},
	}
	for _, tt := range tests {
		t.Run(tt.query[:min(len(tt.query), 60)], func(t *testing.T) {
			start := time.Now()
			_, err := c.ParseSearch([]string{"Patient"}, tt.query, search.ParseOptions{})
			if took := time.Since(start); took > time.Minute {
				t.Errorf("took %s", took)
			}
			var pe *search.ParameterError
			if !errors.As(err, &pe) {
				t.Fatalf("got %v", err)
			}
			if pe.Parameter != tt.parameter || !errors.Is(err, tt.want) {
				t.Errorf("got %q, %v", pe.Parameter, err)
			}
		})
	}
}

// manyIncludes has 21 different inclusions.
func manyIncludes() string {
	var parts []string
	for _, p := range []string{"organization", "general-practitioner", "link"} {
		for _, typ := range []string{"Patient", "Person", "Practitioner", "Organization", "RelatedPerson", "PractitionerRole", "Group"} {
			parts = append(parts, "_include:iterate=Patient:"+p, "_revinclude:iterate="+typ+":*")
		}
	}
	for _, typ := range []string{"Account", "Encounter", "Observation", "Condition", "Procedure", "Coverage", "Claim", "Flag", "Goal", "List", "Media"} {
		parts = append(parts, "_include:iterate="+typ+":patient", "_include:iterate="+typ+":*")
	}
	return strings.Join(parts, "&")
}

// A chain over references to any resource is bounded before it is built.
func TestParseRefusesChainsThatExplode(t *testing.T) {
	t.Parallel()
	start := time.Now()
	_, err := r4Catalog(t).ParseSearch([]string{"Provenance"}, "target.subject.subject.subject.organization.name=x", search.ParseOptions{})
	if !errors.Is(err, search.ErrMalformed) || !strings.Contains(err.Error(), "too many types") {
		t.Errorf("got %v", err)
	}
	if took := time.Since(start); took > time.Minute {
		t.Errorf("took %s", took)
	}
	s, err := r4Catalog(t).ParseSearch([]string{"Provenance"}, "target:Observation.subject:Patient.organization.name=x", search.ParseOptions{})
	if err != nil || len(s.Expressions[0].Conditions) != 1 {
		t.Errorf("got %v", err)
	}
}

// Each kind takes the modifiers of R4 search.html#modifiers and no other; the
// refusal lists them. Lenient handling changes nothing.
func TestModifiersByKind(t *testing.T) {
	t.Parallel()
	c := r4Catalog(t)
	all := []string{"missing", "exact", "contains", "text", "not", "above", "below", "in", "not-in", "of-type", "identifier", "Patient", "type", "x"}
	tests := []struct{ typ, code, kind, allowed string }{
		{"RiskAssessment", "probability", "number", "missing"},
		{"Patient", "birthdate", "date", "missing"},
		{"Patient", "name", "string", "missing exact contains"},
		{"Condition", "code", "token", "missing text not above below in not-in"},
		{"Patient", "identifier", "token", "missing text not above below in not-in of-type"},
		{"Encounter", "subject", "reference", "missing identifier Patient"},
		{"Observation", "subject", "reference", "missing identifier above below Patient"}, // may be a Location
		{"Observation", "value-quantity", "quantity", "missing"},
		{"ValueSet", "url", "uri", "missing above below"},
		{"Observation", "code-value-quantity", "composite", ""},
		{"Location", "near", "special", "missing"},
	}
	values := map[string]string{"missing": "true", "of-type": "a|b|c", "in": "http://vs", "not-in": "http://vs", "Patient": "1"}
	for _, tt := range tests {
		for _, m := range all {
			value := values[m]
			if value == "" {
				value = "http://x"
			}
			_, err := c.ParseSearch([]string{tt.typ}, tt.code+":"+m+"="+value, search.ParseOptions{Lenient: true})
			allowed := strings.Contains(" "+tt.allowed+" ", " "+m+" ")
			if allowed && err != nil {
				t.Errorf("%s:%s: %v", tt.code, m, err)
			}
			if allowed {
				continue
			}
			var pe *search.ParameterError
			if !errors.As(err, &pe) || !errors.Is(err, search.ErrModifier) || pe.Parameter != tt.code+":"+m {
				t.Errorf("%s:%s: got %v", tt.code, m, err)
				continue
			}
			for a := range strings.FieldsSeq(tt.allowed) {
				if a != "Patient" && !strings.Contains(pe.Reason, ":"+a) {
					t.Errorf("%s:%s: %q lacks %s", tt.code, m, pe.Reason, a)
				}
			}
		}
	}
}

func TestPrefixesOnOrderedKindsOnly(t *testing.T) {
	t.Parallel()
	c := r4Catalog(t)
	for _, p := range []string{"eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"} {
		for _, q := range []struct{ typ, query string }{
			{"RiskAssessment", "probability=%s5"}, {"Patient", "birthdate=%s2000"}, {"Observation", "value-quantity=%s5||mg"}} {
			s, err := c.ParseSearch([]string{q.typ}, fmt.Sprintf(q.query, p), search.ParseOptions{})
			if err != nil {
				t.Error(err)
				continue
			}
			if got := s.Expressions[0].Conditions[0].Operands[0].Prefix.String(); got != p {
				t.Errorf("%s: got %s", p, got)
			}
		}
	}
	s, err := c.ParseSearch([]string{"Patient"}, "name=gerald&identifier=le5", search.ParseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, cond := range s.Expressions[0].Conditions {
		if o := cond.Operands[0]; o.Prefix != search.Equal || o.Text != "gerald" && o.Code != "le5" {
			t.Errorf("a prefix was cut from %s", cond.Name)
		}
	}
}

// Prefer: handling=lenient leaves out what is unknown or not offered, and says
// so (decision 27); it keeps the rest.
func TestParseLenient(t *testing.T) {
	t.Parallel()
	c := r4Catalog(t)
	s, err := c.ParseSearch([]string{"Patient"}, "nmae=x&_filter=y&name=z&_sort=nmae&_include=Patient:nmae&organization.nmae=1", search.ParseOptions{Lenient: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Expressions[0].Describe(); got != "Patient: name string, 1 value" {
		t.Error(got)
	}
	var names []string
	for _, i := range s.Ignored {
		if i.Severity != fhir.Warning || i.Code != "not-supported" {
			t.Errorf("%+v", i)
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(i.Diagnostics, "ignored: "), ": ")
		names = append(names, name)
	}
	if diff := cmp.Diff([]string{"nmae", "_filter", "_sort", "_include", "organization.nmae"}, names); diff != "" {
		t.Error(diff)
	}
	for _, q := range []string{"birthdate=x", "name:foo=x", "_count=x"} {
		if _, err := c.ParseSearch([]string{"Patient"}, q, search.ParseOptions{Lenient: true}); err == nil {
			t.Errorf("%s was ignored", q)
		}
	}
	s, err = c.ParseSearch(nil, "_type=Patient,Observation&birthdate=2000&_id=x", search.ParseOptions{Lenient: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range s.Expressions {
		if len(e.Conditions) != 1 {
			t.Errorf("%s keeps %d conditions, want _id alone", e.Type, len(e.Conditions))
		}
	}
}

func TestIncludeFromNoSearchedTypeIsAWarning(t *testing.T) {
	t.Parallel()
	for _, q := range []string{"_include=Patient:organization", "_revinclude=Coverage:payor"} {
		s, err := r4Catalog(t).ParseSearch([]string{"Observation"}, q, search.ParseOptions{})
		if err != nil || len(s.Includes) != 0 || len(s.Ignored) != 1 {
			t.Errorf("%s: %+v, %v", q, s, err)
		}
	}
}

func TestParseConditionsOfAnInteraction(t *testing.T) {
	t.Parallel()
	c := r4Catalog(t)
	e, err := c.ParseConditions("Patient", "identifier=a|b&_format=json")
	if err != nil || e.Describe() != "Patient: identifier token, 1 value" {
		t.Errorf("%v, %v", e, err)
	}
	for _, q := range []string{"", "_format=json", "identifier=a&_count=1", "identifier=a&_sort=name", "identifier=a&_include=Patient:organization",
		"identifier=a&_include:iterate=Patient:organization", "identifier=a&_summary=count", "identifier=a&_type=Patient", "nmae=x", "_filter=x", "identifier="} {
		if _, err := c.ParseConditions("Patient", q); err == nil {
			t.Errorf("%q was accepted", q)
		}
	}
}

func TestOwnBasesAreLocal(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"https://b.example/r4", "https://b.example/r4/"} {
		s, err := r4Catalog(t).ParseSearch([]string{"Observation"}, "subject=https://b.example/r4/Patient/1", search.ParseOptions{Bases: []string{base}})
		if err != nil {
			t.Fatal(err)
		}
		if o := s.Expressions[0].Conditions[0].Operands[0]; o.Type != "Patient" || o.ID != "1" || o.URL != "" {
			t.Errorf("%s: not local", base)
		}
	}
}

func TestEscapeQueryIsReadBack(t *testing.T) {
	t.Parallel()
	const odd = "a,b|c$d\\e&f=g%41 +é"
	s, err := r4Catalog(t).ParseSearch([]string{"Patient"}, search.EscapeQuery("name:exact", odd), search.ParseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if ops := s.Expressions[0].Conditions[0].Operands; len(ops) != 1 || ops[0].Text != odd {
		t.Error("another value was read")
	}
}

// The name and value of a query never meet in what may be printed.
func TestExpressionsPrintNoValue(t *testing.T) {
	t.Parallel()
	s, err := r4Catalog(t).ParseSearch([]string{"Observation"}, "subject:Patient.name=secret&code=secret&value-quantity=5||secret&subject=secret&_profile=http://secret&code-value-string=secret$secret", search.ParseOptions{})
	if err != nil {
		t.Fatal(err)
	}
	out := s.Expressions[0].Describe()
	for _, c := range s.Expressions[0].Conditions {
		out += c.Describe() + fmt.Sprintf("%v %+v %#v %s", c.Operands, c.Operands, c.Operands, c.Operands)
	}
	if strings.Contains(out, "secret") {
		t.Error(out)
	}
}
