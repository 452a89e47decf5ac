package search_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fieldseal/fieldseal/fhir/search"
)

// short writes out what a kind of value compares.
func short(v *search.Value) string {
	var s string
	switch v.Kind {
	case search.TokenKind:
		s = v.System + "|" + v.Code
		if v.ImpliedSystem {
			s = "(" + v.System + ")" + v.Code
		}
		if len(v.OfType) > 0 {
			s += fmt.Sprintf(" type%v", v.OfType)
		}
	case search.ReferenceKind:
		s = v.URL
		if v.Type != "" {
			s = "local:" + v.Type + "/" + v.ID
		}
		if v.Identifier != nil {
			s += fmt.Sprintf(" identifier%v", *v.Identifier)
		}
	case search.String, search.URI:
		s = v.Text
	case search.Date:
		s = when(v.From) + ".." + when(v.Until)
	case search.Number:
		s = decimal(v.Low) + ".." + decimal(v.High)
	case search.QuantityKind:
		s = decimal(v.Low) + ".." + decimal(v.High) + " " + v.System + "|" + v.Code + " " + v.Unit
	case search.Special:
		s = fmt.Sprintf("%g,%g", v.Latitude, v.Longitude)
	case search.Composite:
		for _, part := range v.Parts {
			s += "("
			for i := range part {
				s += short(&part[i]) + ";"
			}
			s += ")"
		}
	}
	if len(v.Texts) > 0 {
		s += " text" + fmt.Sprint(v.Texts)
	}
	return s
}

func found(t *testing.T, c *search.Catalog, code, json string) []string {
	t.Helper()
	r := parsed(t, json)
	p := c.Parameter(r.Type(), code)
	if p == nil {
		t.Fatalf("no parameter %s", code)
	}
	var list []string
	c.Extract(p, r, func(v *search.Value) bool {
		list = append(list, short(v))
		return true
	})
	return list
}

func TestExtractValues(t *testing.T) {
	t.Parallel()
	c := catalog(t).WithBases("https://here.example/fhir/", "http://old.example/fhir")
	const gender, boolean = "http://hl7.org/fhir/administrative-gender", "http://terminology.hl7.org/CodeSystem/special-values"
	tests := []struct {
		name, code, resource string
		want                 []string
	}{
		// R4 search.html#token
		{"code has the system of its binding", "gender", `{"resourceType":"Patient","gender":"male"}`, []string{"(" + gender + ")male"}},
		{"boolean", "active", `{"resourceType":"Patient","active":false}`, []string{"(" + boolean + ")false"}},
		{"identifier with type", "identifier", `{"resourceType":"Patient","identifier":[{"type":{"coding":[{"system":"t","code":"MR"}],"text":"record"},"system":"s","value":"1"},{"value":"2"},{"use":"old"}]}`,
			[]string{"s|1 type[{t MR}] text[record]", "|2"}},
		{"each coding, with the concept's text", "code", `{"resourceType":"Observation","code":{"coding":[{"system":"l","code":"1","display":"d"},{"code":"2"}],"text":"t"}}`,
			[]string{"l|1 text[d t]", "|2 text[t]"}},
		{"text alone", "code", `{"resourceType":"Observation","code":{"text":"t"}}`, []string{"| text[t]"}},
		{"coding", "class", `{"resourceType":"Encounter","class":{"system":"s","code":"AMB"}}`, []string{"s|AMB"}},
		{"contact point", "telecom", `{"resourceType":"Patient","telecom":[{"system":"phone","use":"home","value":"555"},{"system":"fax"}]}`, []string{"home|555"}},
		{"only the phones", "phone", `{"resourceType":"Patient","telecom":[{"system":"phone","value":"1"},{"system":"email","value":"2"},{"value":"3"}]}`, []string{"|1"}},
		{"only the mails", "email", `{"resourceType":"Patient","telecom":[{"system":"phone","value":"1"},{"system":"email","value":"2"}]}`, []string{"|2"}},
		{"id", "_id", `{"resourceType":"Patient","id":"p1"}`, []string{"|p1"}},
		{"tag", "_tag", `{"resourceType":"Patient","meta":{"tag":[{"system":"s","code":"c"}]}}`, []string{"s|c"}},
		{"dead by date", "deceased", `{"resourceType":"Patient","deceasedDateTime":"2020"}`, []string{"(" + boolean + ")true"}},
		{"dead", "deceased", `{"resourceType":"Patient","deceasedBoolean":true}`, []string{"(" + boolean + ")true"}},
		{"alive", "deceased", `{"resourceType":"Patient","deceasedBoolean":false}`, []string{"(" + boolean + ")false"}},
		{"not known to be dead", "deceased", `{"resourceType":"Patient"}`, []string{"(" + boolean + ")false"}},
		{"one choice, two types", "value", `{"resourceType":"Group","characteristic":[{"valueBoolean":true},{"valueCodeableConcept":{"coding":[{"code":"x"}]}},{"valueQuantity":{"value":1}}]}`,
			[]string{"|x", "(" + boolean + ")true"}},
		{"extension of a missing code", "gender", `{"resourceType":"Patient","_gender":{"extension":[{"url":"u","valueCode":"x"}]}}`, nil},
		{"wrong JSON kinds", "code", `{"resourceType":"Observation","code":[1,"x",{"coding":"y"},{"coding":[null,7]}]}`, nil},

		// R4 search.html#string
		{"parts of a name", "name", `{"resourceType":"Patient","name":[{"text":"T","family":"F","given":["G","H"],"prefix":["P"],"suffix":["S"]}]}`, []string{"F", "G", "H", "P", "S", "T"}},
		{"exact bytes", "family", `{"resourceType":"Patient","name":[{"family":"M\u00fcller "}]}`, []string{"Müller "}},
		{"parts of an address", "address", `{"resourceType":"Patient","address":[{"use":"home","line":["1","2"],"city":"c","district":"d","state":"s","postalCode":"p","country":"y","text":"t"}]}`,
			[]string{"1", "2", "c", "d", "s", "p", "y", "t"}},
		{"bare names", "name", `{"resourceType":"InsurancePlan","name":"n","alias":["a"]}`, []string{"n", "a"}},
		{"text of a narrowed choice", "value-string", `{"resourceType":"Observation","valueCodeableConcept":{"text":"t"}}`, []string{"t"}},

		// R4 search.html#reference
		{"relative", "subject", `{"resourceType":"Observation","subject":{"reference":"Patient/p1","display":"d"}}`, []string{"local:Patient/p1 text[d]"}},
		{"the version is dropped", "subject", `{"resourceType":"Observation","subject":{"reference":"Patient/p1/_history/3"}}`, []string{"local:Patient/p1"}},
		{"our base", "subject", `{"resourceType":"Observation","subject":{"reference":"https://here.example/fhir/Patient/p1"}}`, []string{"local:Patient/p1"}},
		{"our other base", "subject", `{"resourceType":"Observation","subject":{"reference":"http://old.example/fhir/Patient/p1"}}`, []string{"local:Patient/p1"}},
		{"another base", "subject", `{"resourceType":"Observation","subject":{"reference":"http://there.example/fhir/Patient/p1"}}`, []string{"http://there.example/fhir/Patient/p1"}},
		{"a base that only begins like ours", "subject", `{"resourceType":"Observation","subject":{"reference":"https://here.example/fhir/x/Patient/p1"}}`, []string{"https://here.example/fhir/x/Patient/p1"}},
		{"urn", "subject", `{"resourceType":"Observation","subject":{"reference":"urn:uuid:c757873d-ec9a-4326-a141-556f43239520"}}`, []string{"urn:uuid:c757873d-ec9a-4326-a141-556f43239520"}},
		{"contained", "subject", `{"resourceType":"Observation","contained":[{"resourceType":"Patient","id":"p"}],"subject":{"reference":"#p"}}`, nil},
		{"identifier", "subject", `{"resourceType":"Observation","subject":{"identifier":{"system":"s","value":"v"}}}`, []string{" identifier{s v}"}},
		{"only patients", "patient", `{"resourceType":"Observation","subject":{"reference":"Group/g1"}}`, nil},
		{"patient", "patient", `{"resourceType":"Observation","subject":{"reference":"Patient/p1"}}`, []string{"local:Patient/p1"}},
		{"patient elsewhere", "patient", `{"resourceType":"Observation","subject":{"reference":"http://there.example/Patient/p1"}}`, []string{"http://there.example/Patient/p1"}},
		{"patient by stated type", "patient", `{"resourceType":"Observation","subject":{"type":"Patient","identifier":{"value":"v"}}}`, []string{" identifier{ v}"}},
		{"canonical", "questionnaire", `{"resourceType":"QuestionnaireResponse","questionnaire":"http://x.example/q|2"}`, []string{"http://x.example/q|2"}},
		{"first entry", "composition", `{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Composition","id":"c"}},{"resource":{"resourceType":"Patient","id":"p"}}]}`, []string{"local:Composition/c"}},
		{"of one kind of artifact", "depends-on", `{"resourceType":"Measure","relatedArtifact":[{"type":"depends-on","resource":"a"},{"type":"citation","resource":"b"}],"library":["c"]}`, []string{"a", "c"}},

		// R4 search.html#date
		{"date", "birthdate", `{"resourceType":"Patient","birthDate":"1980-02"}`, []string{"1980-02-01T00:00:00Z..1980-03-01T00:00:00Z"}},
		{"period", "date", `{"resourceType":"Encounter","period":{"start":"2020-01-01","end":"2020-01-02"}}`, []string{"2020-01-01T00:00:00Z..2020-01-03T00:00:00Z"}},
		{"open end", "date", `{"resourceType":"Encounter","period":{"start":"2020-01-01"}}`, []string{"2020-01-01T00:00:00Z..end"}},
		{"open start", "date", `{"resourceType":"Encounter","period":{"end":"2020"}}`, []string{"beginning..2021-01-01T00:00:00Z"}},
		{"empty period", "date", `{"resourceType":"Encounter","period":{"id":"x"}}`, nil},
		{"timing", "date", `{"resourceType":"Observation","effectiveTiming":{"event":["2020","2021-05-01"],"repeat":{"boundsPeriod":{"start":"2019"}}}}`,
			[]string{"2020-01-01T00:00:00Z..2021-01-01T00:00:00Z", "2021-05-01T00:00:00Z..2021-05-02T00:00:00Z", "2019-01-01T00:00:00Z..end"}},
		{"text instead of a date", "date", `{"resourceType":"Immunization","occurrenceString":"last year"}`, nil},

		// R4 search.html#number, #quantity
		{"number as written", "probability", `{"resourceType":"RiskAssessment","prediction":[{"probabilityDecimal":1.20}]}`, []string{"1.20..1.20"}},
		{"range of numbers", "probability", `{"resourceType":"RiskAssessment","prediction":[{"probabilityRange":{"low":{"value":1}}}]}`, []string{"1..open"}},
		{"quantity", "value-quantity", `{"resourceType":"Observation","valueQuantity":{"value":5.40,"unit":"mg","system":"u","code":"mg"}}`, []string{"5.40..5.40 u|mg mg"}},
		{"less than", "value-quantity", `{"resourceType":"Observation","valueQuantity":{"value":5,"comparator":"<="}}`, []string{"open..5 | "}},
		{"more than", "value-quantity", `{"resourceType":"Observation","valueQuantity":{"value":5,"comparator":">"}}`, []string{"5..open | "}},
		{"money", "totalnet", `{"resourceType":"Invoice","totalNet":{"value":9.99,"currency":"EUR"}}`, []string{"9.99..9.99 urn:iso:std:iso:4217|EUR EUR"}},
		{"range", "onset-age", `{"resourceType":"Condition","onsetRange":{"low":{"value":3,"code":"a"},"high":{"value":4}}}`, []string{"3..4 |a "}},
		{"samples", "value-quantity", `{"resourceType":"Observation","valueSampledData":{"origin":{"value":10,"code":"mV"},"factor":2,"data":"3 E -1 7"}}`, []string{"8..24 |mV "}},
		{"samples beyond the limits", "value-quantity", `{"resourceType":"Observation","valueSampledData":{"origin":{"value":0},"lowerLimit":-5,"data":"L 1 2 U"}}`, []string{"-5..open | "}},
		{"only samples beyond a limit", "value-quantity", `{"resourceType":"Observation","valueSampledData":{"origin":{"value":0},"lowerLimit":-5,"data":"L L"}}`, []string{"-5..-5 | "}},
		{"a falling scale", "value-quantity", `{"resourceType":"Observation","valueSampledData":{"origin":{"value":0},"factor":-1,"data":"1 2"}}`, []string{"-2..-1 | "}},
		{"samples beyond unknown limits", "value-quantity", `{"resourceType":"Observation","valueSampledData":{"origin":{"value":0},"data":"L U"}}`, nil},
		{"no samples", "value-quantity", `{"resourceType":"Observation","valueSampledData":{"origin":{"value":0},"data":"E E"}}`, nil},
		{"a sample that costs memory", "value-quantity", `{"resourceType":"Observation","valueSampledData":{"origin":{"value":0},"data":"1e999999999 2"}}`, []string{"2..2 | "}},

		// R4 search.html#uri, #special
		{"uri", "url", `{"resourceType":"ValueSet","url":"http://x.example/v"}`, []string{"http://x.example/v"}},
		{"profile", "_profile", `{"resourceType":"Patient","meta":{"profile":["http://x.example/p|1"]}}`, []string{"http://x.example/p|1"}},
		{"position", "near", `{"resourceType":"Location","position":{"latitude":52.5,"longitude":-13.25}}`, []string{"52.5,-13.25"}},
		{"no position on earth", "near", `{"resourceType":"Location","position":{"latitude":91,"longitude":0}}`, nil},

		// R4 search.html#composite
		{"code and value", "code-value-quantity", `{"resourceType":"Observation","code":{"coding":[{"code":"a"},{"code":"b"}]},"valueQuantity":{"value":1}}`, []string{"(|a;|b;)(1..1 | ;)"}},
		{"parts of one element stay together", "combo-code-value-quantity", `{"resourceType":"Observation","code":{"coding":[{"code":"p"}]},"component":[{"code":{"coding":[{"code":"s"}]},"valueQuantity":{"value":1}},{"code":{"coding":[{"code":"d"}]},"valueQuantity":{"value":2}},{"code":{"coding":[{"code":"x"}]}}]}`,
			[]string{"(|s;)(1..1 | ;)", "(|d;)(2..2 | ;)"}},
		{"a part from the resource", "chromosome-variant-coordinate", `{"resourceType":"MolecularSequence","referenceSeq":{"chromosome":{"coding":[{"code":"1"}]}},"variant":[{"start":1,"end":2}]}`, []string{"(|1;)(1..1;)(2..2;)"}},
		{"the exchanged expressions", "relationship", `{"resourceType":"DocumentReference","relatesTo":[{"code":"replaces","target":{"reference":"DocumentReference/d"}}]}`,
			[]string{"(local:DocumentReference/d;)((http://hl7.org/fhir/document-relationship-type)replaces;)"}},
		{"DateTime with a capital", "code-value-date", `{"resourceType":"Observation","code":{"coding":[{"code":"a"}]},"valueDateTime":"2020"}`, []string{"(|a;)(2020-01-01T00:00:00Z..2021-01-01T00:00:00Z;)"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, found(t, c, tt.code, tt.resource)); diff != "" {
				t.Fatal(diff)
			}
		})
	}
}

func TestExtractStops(t *testing.T) {
	t.Parallel()
	c := catalog(t)
	r := parsed(t, `{"resourceType":"Patient","name":[{"family":"a","given":["b","c"]},{"family":"d"}]}`)
	n := 0
	c.Extract(c.Parameter("Patient", "name"), r, func(*search.Value) bool { n++; return n < 2 })
	if n != 2 {
		t.Fatalf("visited %d", n)
	}
}

// A copy of a visited Value keeps what it held.
func TestCopiedValuesStay(t *testing.T) {
	t.Parallel()
	c := catalog(t)
	var kept []search.Value
	var then []string
	for _, r := range syntheaResources(t) {
		c.ExtractAll(r, func(_ *search.Parameter, v *search.Value) {
			kept, then = append(kept, *v), append(then, dump(v))
		})
	}
	for i := range kept {
		if now := dump(&kept[i]); now != then[i] {
			t.Fatalf("changed:\n%s\n%s", then[i], now)
		}
	}
}

func TestValuesDoNotPrint(t *testing.T) {
	t.Parallel()
	c := catalog(t)
	const secret = "Leibowitz"
	r := parsed(t, `{"resourceType":"Patient","name":[{"family":"`+secret+`"}],"identifier":[{"value":"`+secret+`"}]}`)
	c.ExtractAll(r, func(_ *search.Parameter, v *search.Value) {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			if strings.Contains(fmt.Sprintf(verb, *v), secret) || strings.Contains(fmt.Sprintf(verb, v), secret) {
				t.Errorf("%s prints the value", verb)
			}
		}
	})
}
