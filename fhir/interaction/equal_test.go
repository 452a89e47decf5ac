package interaction

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/fhirtest"
	"github.com/fieldseal/fieldseal/fhir/search"
	"github.com/fieldseal/fieldseal/repository/sealed"
)

// TestSearchEqualsBruteForce draws queries of every kind from the data and
// compares what the index finds with an evaluation over every opened resource.
// FIELDSEAL_LONG=1 asks twenty times as many.
func TestSearchEqualsBruteForce(t *testing.T) {
	t.Parallel()
	testEqual(t, newShop(t), 11)
}

// TestSearchEqualsBruteForceWithTinyTokens cuts tokens to 8 bits, so that
// nearly every list holds strangers and only the recheck decides.
func TestSearchEqualsBruteForceWithTinyTokens(t *testing.T) {
	t.Parallel()
	testEqual(t, newShopWith(t, shopOptions{tokenBits: 8}), 12)
}

func TestSearchEqualsBruteForceInStrictProfile(t *testing.T) {
	t.Parallel()
	testEqual(t, newShopWith(t, shopOptions{profile: sealed.ProfileStrict}), 13)
}

func testEqual(t *testing.T, p *shop, seed uint64) {
	o := p.oracle()
	n := 1500
	if os.Getenv("FIELDSEAL_LONG") != "" {
		n *= 20
	}
	q := &questions{o: o, rng: rand.New(rand.NewPCG(seed, 1))} // #nosec G404 -- reproducible test data
	c, matched := p.as("integration"), 0
	for i := range n {
		typ, query := q.next()
		e, err := p.Catalog.ParseConditions(typ, query)
		if err != nil {
			t.Fatalf("%s?%s: %v", typ, query, err)
		}
		want := o.matching(e)
		got, err := p.matching(c, typ, query)
		if err != nil {
			if f := failure(err); f.Issues[0].Code == "too-costly" {
				continue
			}
			t.Fatalf("%d: %s?%s: %v", i, typ, query, err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d: %s?%s\nfound %v\nwant  %v", i, typ, query, clipped(got), clipped(want))
		}
		if len(want) > 0 {
			matched++
		}
	}
	if matched < n/3 {
		t.Errorf("only %d of %d queries match anything", matched, n)
	}
}

func clipped(s []string) []string { return s[:min(len(s), 12)] }

// matching is what the index finds, sorted.
func (p *shop) matching(c Call, typ, query string) (ids []string, err error) {
	q, err := p.Catalog.ParseSearch([]string{typ}, query, search.ParseOptions{Bases: []string{base}})
	if err != nil {
		return nil, err
	}
	x := p.newFinder(c, within{path: typ, types: []string{typ}})
	if err := x.resolve(p.t.Context(), q.Expressions); err != nil {
		return nil, err
	}
	err = x.find(p.t.Context(), q.Expressions[0], 0, "", func() int { return candidatePage }, func(h hit, _ string) bool {
		ids = append(ids, h.stored.Head.ID)
		return true
	})
	slices.Sort(ids)
	return ids, err
}

// oracle holds every resource in clear and evaluates by looking at all.
type oracle struct {
	p      *shop
	byType map[string][]*fhir.Resource
	all    []*fhir.Resource
	ends   map[*search.Link]map[string]bool
}

// oracle stores three Synthea records and a few awkward resources.
func (p *shop) oracle() *oracle {
	p.t.Helper()
	o := &oracle{p: p, byType: map[string][]*fhir.Resource{}, ends: map[*search.Link]map[string]bool{}}
	n := 0
	for _, text := range fhirtest.SyntheaInformation(p.t) {
		o.load(text)
	}
	for _, text := range fhirtest.Synthea(p.t) {
		if o.load(text); n == 1 {
			break
		}
		n++
	}
	for i, text := range awkward {
		typ := text[strings.Index(text, ":\"")+2:]
		typ = typ[:strings.IndexByte(typ, '"')]
		id := fmt.Sprintf("awkward%d", i)
		p.put(typ, id, strings.Replace(text, "{", `{"id":"`+id+`",`, 1))
	}
	o.read()
	return o
}

// awkward resources have what Synthea has not.
var awkward = []string{
	`{"resourceType":"Patient","name":[{"family":"O'Brien-Smith, Jr.","given":["Ðánïél","X|Y$Z"]},{"text":"ÄRZTIN"}],"birthDate":"1990","deceasedBoolean":false}`,
	`{"resourceType":"Patient","birthDate":"1990-06","deceasedDateTime":"2020-02-29T10:00:00+02:00","identifier":[{"value":"only"},{"system":"urn:s"},{"type":{"coding":[{"system":"urn:t","code":"MR"}]},"system":"urn:s","value":"v"}]}`,
	`{"resourceType":"Observation","status":"final","code":{"text":"no coding at all"},"valueQuantity":{"value":1.5,"unit":"things"},"effectivePeriod":{"start":"2019-12-31T23:00:00-05:00"}}`,
	`{"resourceType":"Observation","status":"amended","code":{"coding":[{"code":"bare"},{"system":"urn:a","code":"x"}]},"valueQuantity":{"value":0.00100,"system":"http://unitsofmeasure.org","code":"g"},"effectiveDateTime":"2020"}`,
	`{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"urn:a","code":"x"}]},"valueQuantity":{"value":-5,"system":"http://unitsofmeasure.org","code":"mg"},"component":[{"code":{"coding":[{"system":"urn:a","code":"y"}]},"valueQuantity":{"value":7,"system":"http://unitsofmeasure.org","code":"mg"}}]}`,
	`{"resourceType":"RiskAssessment","status":"final","subject":{"identifier":{"system":"urn:s","value":"v"}},"prediction":[{"probabilityDecimal":0.25},{"probabilityRange":{"low":{"value":1},"high":{"value":3}}}]}`,
	`{"resourceType":"ValueSet","status":"active","url":"http://example.org/vs/a/b","version":"2.0"}`,
	`{"resourceType":"ValueSet","status":"draft","url":"http://example.org/vs/a"}`,
	`{"resourceType":"Location","name":"Here","position":{"longitude":8.54,"latitude":47.37}}`,
	`{"resourceType":"Encounter","status":"planned","class":{"code":"AMB"},"subject":{"reference":"http://elsewhere.test/fhir/Patient/9"},"period":{"end":"2021-05-05"}}`,
	`{"resourceType":"ActivityDefinition","status":"active","library":["http://example.org/lib|1.0"],"effectivePeriod":{"start":"2000"}}`,
	`{"resourceType":"Medication","meta":{"profile":["http://example.org/p|3"],"tag":[{"system":"urn:tag","code":"t"}],"source":"http://example.org/source"}}`,
}

func (o *oracle) load(text []byte) {
	o.p.t.Helper()
	o.p.MaxEntries, o.p.BundleBytes = 10_000, 64<<20
	c := o.p.as("integration")
	c.Return = Minimal
	a, err := o.p.Bundle(o.p.t.Context(), c, text)
	o.p.must(err)
	if a.Status() != 200 {
		o.p.t.Fatalf("loading a bundle answered %d", a.Status())
	}
}

// read opens everything that is stored.
func (o *oracle) read() {
	o.p.t.Helper()
	for ch, err := range o.p.store.Changes(o.p.t.Context(), "") {
		o.p.must(err)
		st, err := o.p.Vault.Load(o.p.t.Context(), ch.Key)
		o.p.must(err)
		r, err := o.p.Vault.Open(st, allClasses)
		o.p.must(err)
		o.byType[r.Type()] = append(o.byType[r.Type()], r)
		o.all = append(o.all, r)
	}
}

func (o *oracle) matching(e *search.Expression) (ids []string) {
	for _, r := range o.byType[e.Type] {
		if o.match(e, r) {
			ids = append(ids, r.ID())
		}
	}
	slices.Sort(ids)
	return ids
}

func (o *oracle) match(e *search.Expression, r *fhir.Resource) bool {
	o.p.t.Helper()
	m := search.Matcher{Catalog: o.p.Catalog, Terminology: o.p.Terminology, Links: o}
	ok, err := m.Match(o.p.t.Context(), e, r)
	o.p.must(err)
	return ok
}

// Linked implements search.Links.
func (o *oracle) Linked(l *search.Link, typ, id string) bool { return o.end(l)[typ+"/"+id] }

// Referring implements search.Links.
func (o *oracle) Referring(l *search.Link, typ, id string) bool { return o.end(l)[typ+"/"+id] }

func (o *oracle) end(l *search.Link) map[string]bool {
	if set := o.ends[l]; set != nil {
		return set
	}
	set := map[string]bool{}
	for _, e := range l.Targets {
		for _, r := range o.byType[e.Type] {
			if !o.match(e, r) {
				continue
			}
			if !l.Reverse {
				set[r.Type()+"/"+r.ID()] = true
				continue
			}
			o.p.Catalog.Extract(l.Reference, r, func(v *search.Value) bool {
				set[v.Type+"/"+v.ID] = true
				return true
			})
		}
	}
	o.ends[l] = set
	return set
}

// questions draws queries from the data.
type questions struct {
	o   *oracle
	rng *rand.Rand
}

func pick[T any](q *questions, from []T) T { return from[q.rng.IntN(len(from))] }

// next is a type and one to three conditions on it.
func (q *questions) next() (typ, query string) {
	r := pick(q, q.o.all)
	for n := 1 + q.rng.IntN(3); n > 0; {
		if c := q.condition(r, 2); c != "" {
			query += "&" + c
			n--
		}
	}
	return r.Type(), query[1:]
}

// condition asks for something that the resource has, or nearly has.
func (q *questions) condition(r *fhir.Resource, hops int) string {
	p := pick(q, q.o.p.Catalog.Parameters(r.Type()))
	var vs []search.Value
	q.o.p.Catalog.Extract(p, r, func(v *search.Value) bool {
		vs = append(vs, *v)
		return true
	})
	switch roll := q.rng.IntN(20); {
	case roll == 0 && p.Kind != search.Composite:
		return p.Code + ":missing=" + pick(q, []string{"true", "false"})
	case hops > 0 && roll < 3:
		if c := q.has(r, hops); c != "" {
			return c
		}
	case len(vs) == 0:
		return "" // most parameters of a type are empty: ask those that are not
	case hops > 0 && roll < 8 && p.Kind == search.ReferenceKind:
		if c := q.chain(p, pick(q, vs), hops); c != "" {
			return c
		}
	}
	if len(vs) == 0 {
		return ""
	}
	modifier, text := q.operand(p, pick(q, vs))
	for text != "" && q.rng.IntN(4) == 0 && modifier != "missing" { // OR
		if _, more := q.plain(p, pick(q, vs)); more != "" && modifier == "" {
			text += "," + more
		} else {
			break
		}
	}
	if text == "" {
		return ""
	}
	if modifier != "" {
		modifier = ":" + modifier
	}
	return p.Code + modifier + "=" + url.QueryEscape(text)
}

func (q *questions) chain(p *search.Parameter, v search.Value, hops int) string {
	for _, r := range q.o.byType[v.Type] {
		if r.ID() == v.ID {
			if inner := q.condition(r, hops-1); inner != "" && !strings.HasPrefix(inner, "_has") {
				return p.Code + ":" + v.Type + "." + inner
			}
		}
	}
	return ""
}

func (q *questions) has(r *fhir.Resource, hops int) string {
	for range 50 {
		other := pick(q, q.o.all)
		for _, p := range q.o.p.Catalog.Parameters(other.Type()) {
			refers := false
			if p.Kind == search.ReferenceKind {
				q.o.p.Catalog.Extract(p, other, func(v *search.Value) bool {
					refers = refers || v.Type == r.Type() && v.ID == r.ID()
					return !refers
				})
			}
			if refers {
				if inner := q.condition(other, hops-1); inner != "" && !strings.Contains(inner, ".") {
					return "_has:" + other.Type() + ":" + p.Code + ":" + inner
				}
			}
		}
	}
	return ""
}

// operand is a value as a query writes it, with a modifier now and then.
func (q *questions) operand(p *search.Parameter, v search.Value) (modifier, text string) {
	if q.rng.IntN(3) > 0 {
		return q.plain(p, v)
	}
	switch v.Kind {
	case search.String:
		if w := []rune(pick(q, strings.Fields(search.Fold(v.Text)+" x"))); q.rng.IntN(2) == 0 {
			return "contains", string(w[len(w)/2:])
		}
		return "exact", escaped(v.Text)
	case search.TokenKind:
		switch {
		case p.Code == "_id":
		case len(v.Texts) > 0 && q.rng.IntN(2) == 0:
			return "text", escaped(pick(q, strings.Fields(search.Fold(v.Texts[0])+" x")))
		case len(v.OfType) > 0:
			return "of-type", escaped(v.OfType[0].System) + "|" + escaped(v.OfType[0].Code) + "|" + escaped(v.Code)
		}
		_, text := q.plain(p, v)
		return "not", text
	case search.URI:
		return pick(q, []string{"below", "above"}), escaped(v.Text)
	case search.ReferenceKind:
		if v.Identifier != nil {
			return "identifier", escaped(v.Identifier.System) + "|" + escaped(v.Identifier.Code)
		}
	}
	return q.plain(p, v)
}

var orderedPrefixes = []string{"", "", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"}

func (q *questions) plain(p *search.Parameter, v search.Value) (modifier, text string) {
	switch v.Kind {
	case search.String:
		rs := []rune(v.Text)
		if len(rs) == 0 {
			return "", ""
		}
		return "", escaped(string(rs[:1+q.rng.IntN(len(rs))]))
	case search.TokenKind:
		if p.Code == "_id" {
			return "", v.Code
		}
		forms := []string{escaped(v.Code)}
		if v.System != "" {
			forms = append(forms, escaped(v.System)+"|"+escaped(v.Code), escaped(v.System)+"|")
		}
		if v.Code == "" {
			forms = forms[1:]
		} else {
			forms = append(forms, "|"+escaped(v.Code))
		}
		if len(forms) == 0 {
			return "", ""
		}
		return "", pick(q, forms)
	case search.ReferenceKind:
		switch {
		case v.ID != "":
			return "", pick(q, []string{v.Type + "/" + v.ID, v.ID, base + "/" + v.Type + "/" + v.ID})
		case v.URL != "":
			return "", escaped(v.URL)
		}
	case search.Date:
		at := v.From
		if at == search.Beginning || q.rng.IntN(3) == 0 && v.Until != search.EndOfTime {
			at = v.Until
		}
		d := time.UnixMicro(at).UTC().AddDate(0, 0, q.rng.IntN(3)-1)
		return "", pick(q, orderedPrefixes) + d.Format(pick(q, []string{"2006", "2006-01", "2006-01-02", "2006-01-02T15:04:05Z"}))
	case search.Number, search.QuantityKind:
		n := v.Low
		if n == nil {
			n = v.High
		}
		if n == nil {
			return "", ""
		}
		text := pick(q, orderedPrefixes) + n.Text('f')
		if v.Kind == search.QuantityKind {
			units := []string{""}
			if v.Code != "" {
				units = append(units, "|"+escaped(v.System)+"|"+escaped(v.Code), "||"+escaped(v.Code))
			}
			if v.Unit != "" {
				units = append(units, "||"+escaped(v.Unit))
			}
			text += pick(q, units)
		}
		return "", text
	case search.URI:
		return "", escaped(v.Text)
	case search.Special:
		return "", fmt.Sprintf("%f|%f|%d|km", v.Latitude, v.Longitude+0.01, 1+q.rng.IntN(3))
	case search.Composite:
		var parts []string
		for i, list := range v.Parts {
			if len(list) == 0 {
				return "", ""
			}
			_, part := q.plain(p.Components[i], pick(q, list))
			if part == "" {
				return "", ""
			}
			parts = append(parts, part)
		}
		return "", strings.Join(parts, "$")
	}
	return "", ""
}

var operandEscaper = strings.NewReplacer(`\`, `\\`, `,`, `\,`, `|`, `\|`, `$`, `\$`)

func escaped(s string) string { return operandEscaper.Replace(s) }
