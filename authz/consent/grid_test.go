package consent

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/label"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir"
)

const (
	privacy = `"scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]}`
	optIn   = `"policyRule":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"OPTIN"}]}`
)

func active(rest string) []byte {
	return []byte(`{"resourceType":"Consent","id":"c1","status":"active",` + privacy + `,` + rest + `}`)
}

func purpose(code string) string {
	return `"purpose":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActReason","code":"` + code + `"}]`
}

func recipient(ref string) string {
	return `"actor":[{"role":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ParticipationType","code":"PRCP"}]},"reference":{"reference":"` + ref + `"}}]`
}

// shapes are the twelve Consents of the grid.
var shapes = []struct {
	name string
	json []byte
}{
	{"none", nil},
	{"opts in", active(optIn)},
	{"opts out", active(`"policyRule":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"OPTOUT"}]}`)},
	{"denies everything", active(optIn + `,"provision":{"type":"deny"}`)},
	{"denies one practitioner", active(optIn + `,"provision":{"type":"permit","provision":[{"type":"deny",` + recipient("Practitioner/dr") + `}]}`)},
	{"permits one organization only", active(`"provision":{"type":"deny","provision":[{"type":"permit",` + recipient("Organization/o1") + `}]}`)},
	{"permits research", active(`"provision":{"type":"permit",` + purpose("HRESCH") + `}`)},
	{"denies observations, but not to treat", active(`"provision":{"type":"deny","class":[{"system":"http://hl7.org/fhir/resource-types","code":"Observation"}],"provision":[{"type":"permit",` + purpose("TREAT") + `}]}`)},
	{"denies what is labelled HIV", active(optIn + `,"provision":{"type":"permit","provision":[{"type":"deny","securityLabel":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"HIV"}]}]}`)},
	{"denied until last year", active(`"provision":{"type":"deny","period":{"start":"2020-01-01","end":"2025-12-31"}}`)},
	{"denies corrections", active(optIn + `,"provision":{"type":"permit","provision":[{"type":"deny","action":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentaction","code":"correct"}]}]}]}`)},
	{"denies what nobody understands", active(optIn + `,"provision":{"type":"permit","provision":[{"type":"deny","class":[{"system":"urn:ietf:bcp:13","code":"application/hl7-cda+xml"}]}]}`)},
}

// requesters are the six of the grid.
var requesters = []access{
	{purpose: "TREAT", actors: []string{"Practitioner/dr", "Organization/o1"}},
	{purpose: "TREAT", actors: []string{"Practitioner/other", "Organization/o2"}},
	{purpose: "HRESCH", actors: []string{"Practitioner/scholar"}},
	{purpose: "PATRQT", own: true, actors: []string{"Patient/p1"}},
	{purpose: "BTG", actors: []string{"Practitioner/dr"}},
	{purpose: "PUBHLTH", actors: []string{"Organization/office"}},
}

var gridOptIn = []string{"HRESCH", "HMARKT"}

func (a access) question() *Question {
	q := &Question{Action: authz.Action(a.action), Purpose: a.purpose, Own: a.own, Now: clock, Unlabelled: label.Normal, Content: a}
	for _, r := range a.actors {
		if t, _ := local(r); t.Type == "Organization" {
			q.Orgs = append(q.Orgs, t.Key)
		} else {
			q.Actors = append(q.Actors, t)
		}
	}
	q.Resource, _ = local(a.resource)
	for _, l := range a.labels {
		system, code, _ := strings.Cut(l, "|")
		q.Security = append(q.Security, field.Label{System: system, Code: code})
	}
	return q
}

// Codes implements Content.
func (a access) Codes() (codes []Coding, ok bool) {
	for _, c := range a.codes {
		system, code, _ := strings.Cut(c, "|")
		codes = append(codes, Coding{system, code})
	}
	return codes, a.codes != nil
}

// Period implements Content.
func (a access) Period() (from, until int64, ok bool) {
	if a.from == "" {
		return 0, 0, false
	}
	start, err1 := time.Parse(time.DateOnly, a.from)
	end, err2 := time.Parse(time.DateOnly, a.until)
	if err1 != nil || err2 != nil {
		panic("no date")
	}
	return start.UnixMicro(), end.AddDate(0, 0, 1).UnixMicro(), true
}

func local(reference string) (Target, bool) {
	r, ok := fhir.ParseReference(reference)
	t := Target{Type: r.Type}
	copy(t.Key[:], r.ID)
	return t, ok && r.Base == "" && r.ID != ""
}

func compiled(t testing.TB, texts ...[]byte) (list []*Consent) {
	t.Helper()
	for _, text := range texts {
		r, err := fhir.Parse(text, fhir.DefaultLimits)
		if err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		if c := (Compiler{Local: local}).Compile(r); c != nil {
			list = append(list, c)
		}
	}
	return list
}

// TestGrid: 12 Consents, 6 requesters with their purposes, 4 interactions.
func TestGrid(t *testing.T) {
	t.Parallel()
	permitted, decisions := 0, 0
	for _, shape := range shapes {
		var texts [][]byte
		if shape.json != nil {
			texts = append(texts, shape.json)
		}
		consents := compiled(t, texts...)
		for _, a := range requesters {
			for _, action := range []string{"read", "search", "create", "update"} {
				for _, labels := range [][]string{nil, {"http://terminology.hl7.org/CodeSystem/v3-ActCode|HIV"}} {
					a.action, a.resource, a.labels = action, "Observation/o1", labels
					want, _ := oracle(texts, a, gridOptIn)
					if got := Decide(consents, a.question(), Base{gridOptIn}); got.Permitted != want {
						t.Errorf("%s: %s by %v for %s (labels %v): permitted %v", shape.name, action, a.actors, a.purpose, labels, got.Permitted)
					}
					if decisions++; want {
						permitted++
					}
				}
			}
		}
	}
	if decisions != 2*12*6*4 || permitted < decisions/5 || permitted > decisions*4/5 {
		t.Errorf("%d of %d are permitted: the grid proves little", permitted, decisions)
	}
}

// TestGridByHand are rows of the grid that access.md decides.
func TestGridByHand(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		shape  string
		who    int
		labels []string
		want   bool
	}{
		{"none", 0, nil, true}, {"none", 2, nil, false}, {"none", 5, nil, true},
		{"opts out", 0, nil, false}, {"opts out", 3, nil, true}, {"opts out", 4, nil, true}, {"opts out", 5, nil, true},
		{"opts out", 4, []string{"http://terminology.hl7.org/CodeSystem/v3-ActCode|PSY"}, false},
		{"denies one practitioner", 0, nil, false}, {"denies one practitioner", 1, nil, true},
		{"permits one organization only", 0, nil, true}, {"permits one organization only", 1, nil, false},
		{"permits research", 2, nil, true}, {"permits research", 0, nil, true},
		{"denies observations, but not to treat", 0, nil, true}, {"denies observations, but not to treat", 2, nil, false},
		{"denies what is labelled HIV", 0, nil, true},
		{"denies what is labelled HIV", 0, []string{"http://terminology.hl7.org/CodeSystem/v3-ActCode|HIV"}, false},
		{"denied until last year", 0, nil, true},
		{"denies what nobody understands", 0, nil, false},
	} {
		i := slices.IndexFunc(shapes, func(s struct {
			name string
			json []byte
		}) bool {
			return s.name == c.shape
		})
		var texts [][]byte
		if shapes[i].json != nil {
			texts = append(texts, shapes[i].json)
		}
		a := requesters[c.who]
		a.action, a.resource, a.labels = "read", "Observation/o1", c.labels
		v := Decide(compiled(t, texts...), a.question(), Base{gridOptIn})
		if v.Permitted != c.want || !v.Permitted && shapes[i].json != nil && !slices.Equal(v.By, []string{"c1"}) && c.shape != "none" {
			t.Errorf("%s, requester %d, labels %v: %+v", c.shape, c.who, c.labels, v)
		}
	}
}

// TestRandomConsentsEqualTheOracle: provisions nested up to five deep of random
// elements, some of which nobody understands.
func TestRandomConsentsEqualTheOracle(t *testing.T) {
	t.Parallel()
	n := 10_000
	if testing.Short() {
		n = 3_000
	}
	rng := rand.New(rand.NewPCG(6, 4))
	permitted, compared := 0, 0
	for range n {
		var texts [][]byte
		for range 1 + rng.IntN(2) {
			rule := ""
			if rng.IntN(2) == 0 {
				rule = optIn + ","
			}
			texts = append(texts, active(rule+`"provision":`+randomProvision(rng, 0)))
		}
		a := requesters[rng.IntN(len(requesters))]
		a.action = []string{"read", "search", "create", "update", "delete"}[rng.IntN(5)]
		a.resource = []string{"Observation/o1", "Condition/c1"}[rng.IntN(2)]
		for _, l := range []string{"http://terminology.hl7.org/CodeSystem/v3-Confidentiality|R", "http://terminology.hl7.org/CodeSystem/v3-ActCode|HIV"} {
			if rng.IntN(3) == 0 {
				a.labels = append(a.labels, l)
			}
		}
		if rng.IntN(4) > 0 {
			a.codes = []string{"http://loinc.org|1", "http://loinc.org|2"}[:rng.IntN(3)]
			if a.codes == nil {
				a.codes = []string{}
			}
		}
		if rng.IntN(4) > 0 {
			a.from, a.until = "2024-02-01", "2024-02-03"
		}
		want, ok := oracle(texts, a, gridOptIn)
		if !ok {
			continue
		}
		compared++
		if got := Decide(compiled(t, texts...), a.question(), Base{gridOptIn}); got.Permitted != want {
			t.Fatalf("permitted %v, want %v: %+v\n%s", got, want, a, texts)
		}
		if want {
			permitted++
		}
	}
	if compared < n*7/10 || permitted < n/10 || permitted > n*9/10 {
		t.Errorf("%d of %d are permitted, %d compared", permitted, n, compared)
	}
}

func randomProvision(rng *rand.Rand, depth int) string {
	var parts []string
	if depth > 0 || rng.IntN(2) == 0 {
		parts = append(parts, `"type":"`+[]string{"permit", "deny"}[rng.IntN(2)]+`"`)
	}
	add := func(one int, part string) {
		if rng.IntN(one) == 0 {
			parts = append(parts, part)
		}
	}
	add(6, `"period":{"start":"`+[]string{"2020-01-01", "2027-01-01"}[rng.IntN(2)]+`"}`)
	add(4, recipient([]string{"Practitioner/dr", "Organization/o2", "Group/g", "http://elsewhere.test/fhir/Practitioner/dr"}[rng.IntN(4)]))
	add(4, purpose([]string{"TREAT", "HRESCH", "HSYSADMIN", "CLINTRCH"}[rng.IntN(4)]))
	add(4, `"class":[{"system":"`+[]string{"http://hl7.org/fhir/resource-types", "urn:x"}[rng.IntN(2)]+`","code":"Observation"}]`)
	add(4, `"action":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentaction","code":"`+[]string{"access", "correct", "collect", "sing"}[rng.IntN(4)]+`"}]}]`)
	add(4, `"securityLabel":[{"system":"http://terminology.hl7.org/CodeSystem/`+[]string{`v3-Confidentiality","code":"R`, `v3-Confidentiality","code":"N`, `v3-ActCode","code":"HIV`}[rng.IntN(3)]+`"}]`)
	add(6, `"code":[{`+[]string{`"coding":[{"system":"http://loinc.org","code":"1"}]`, `"text":"flu"`}[rng.IntN(2)]+`}]`)
	add(6, `"dataPeriod":{"start":"`+[]string{"2024-01-01", "2024-02-02", "2025-01-01"}[rng.IntN(3)]+`","end":"2025-06-01"}`)
	add(8, `"data":[{"meaning":"`+[]string{"instance", "related"}[rng.IntN(2)]+`","reference":{"reference":"`+[]string{"Observation/o1", "Condition/c2"}[rng.IntN(2)]+`"}}]`)
	add(12, `"modifierExtension":[{"url":"urn:x","valueBoolean":true}]`)
	if n := rng.IntN(3); n > 0 && depth < 5 && rng.IntN(depth+1) < 2 {
		var inner []string
		for range n {
			inner = append(inner, randomProvision(rng, depth+1))
		}
		parts = append(parts, `"provision":[`+strings.Join(inner, ",")+`]`)
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func TestOtherConsentsSayNothing(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"resourceType":"Consent","id":"a","status":"inactive",` + privacy + `,"provision":{"type":"deny"}}`,
		`{"resourceType":"Consent","id":"a","status":"draft",` + privacy + `,"provision":{"type":"permit"}}`,
		`{"resourceType":"Consent","id":"a","status":"active","scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"research"}]},"provision":{"type":"permit"}}`,
		`{"resourceType":"Patient","id":"a","status":"active",` + privacy + `}`,
	} {
		if compiled(t, []byte(text)) != nil {
			t.Errorf("compiled: %s", text)
		}
	}
}

func FuzzCompile(f *testing.F) {
	for _, s := range shapes {
		if s.json != nil {
			f.Add(s.json)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := fhir.Parse(b, fhir.DefaultLimits)
		if err != nil {
			return
		}
		if c := (Compiler{Local: local}).Compile(r); c != nil {
			a := requesters[2]
			a.action, a.resource = "read", "Observation/o1"
			Decide([]*Consent{c}, a.question(), Base{gridOptIn})
		}
	})
}

// BenchmarkDecide: five Consents with exceptions three deep (asked: p99 < 20 µs).
func BenchmarkDecide(b *testing.B) {
	deep := `"provision":{"type":"permit","provision":[{"type":"deny",` + recipient("Practitioner/dr") + `,"provision":[{"type":"permit",` + purpose("TREAT") +
		`,"provision":[{"type":"deny","securityLabel":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"HIV"}]}]}]}]}`
	var texts [][]byte
	for range 5 {
		texts = append(texts, active(deep))
	}
	consents := compiled(b, texts...)
	a := requesters[0]
	a.action, a.resource = "read", "Observation/o1"
	q := a.question()
	var slow []time.Duration
	for b.Loop() {
		start := time.Now()
		v := Decide(consents, q, Base{gridOptIn})
		slow = append(slow, time.Since(start))
		if !v.Permitted {
			b.Fatal(fmt.Sprint(v))
		}
	}
	slices.Sort(slow)
	b.ReportMetric(float64(slow[len(slow)*99/100].Nanoseconds()), "p99-ns")
}
