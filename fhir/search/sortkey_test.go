package search_test

import (
	"bytes"
	"cmp"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/search"
)

// sorted orders the resources as _sort=code would, and checks on the way that
// the bytes agree.
func sorted(t testing.TB, typ, code string, descending bool, corpus []string) string {
	t.Helper()
	c := r4Catalog(t)
	p := c.Parameter(typ, code)
	if p == nil {
		t.Fatalf("%s has no %s", typ, code)
	}
	type entry struct {
		id  string
		key search.SortKeyValue
	}
	var entries []entry
	for _, s := range corpus {
		r := parsed(t, `{"resourceType":"`+typ+`",`+s+`}`)
		k, _ := c.SortValue(p, r, descending)
		entries = append(entries, entry{r.ID(), k})
	}
	slices.SortStableFunc(entries, func(a, b entry) int {
		order := search.CompareSort(a.key, b.key)
		if bytewise := bytes.Compare(search.AppendSortKey(nil, a.key), search.AppendSortKey(nil, b.key)); cmp.Compare(order, 0) != bytewise {
			t.Errorf("%s, %s: keys say %d, bytes %d", a.id, b.id, order, bytewise)
		}
		return order
	})
	var ids []string
	for _, e := range entries {
		ids = append(ids, e.id)
	}
	return strings.Join(ids, " ")
}

// R4 search.html#sort: the lowest value ascending, the highest descending;
// what has no value comes last both times.
func TestSortOrders(t *testing.T) {
	t.Parallel()
	const ucum = `"system":"http://unitsofmeasure.org"`
	tests := []struct {
		name, typ, code, up, down string
		corpus                    []string
	}{
		{"date", "Observation", "date", "open a b month c none", "c month b a open none", []string{
			`"id":"none"`, `"id":"c","effectiveDateTime":"2020-02-02"`, `"id":"a","effectiveDateTime":"2019-12-31T23:59:59Z"`,
			`"id":"b","effectiveDateTime":"2020-01-01T00:00:00Z"`, `"id":"month","effectiveDateTime":"2020-01"`, `"id":"open","effectivePeriod":{"end":"2030"}`}},
		{"string, folded and then as it stands", "Patient", "family", "a1 a2 b e none", "e b a2 a1 none", []string{
			`"id":"none"`, `"id":"e","name":[{"family":"élan"}]`, `"id":"b","name":[{"family":"berg"}]`, `"id":"a2","name":[{"family":"adam"}]`, `"id":"a1","name":[{"family":"Adam"}]`}},
		{"several values", "Patient", "given", "two one", "two one", []string{
			`"id":"two","name":[{"given":["zoe","ada"]}]`, `"id":"one","name":[{"given":["mia"]}]`}},
		{"number", "RiskAssessment", "probability", "m100 m5 zero half nine ten tenish k none", "k tenish ten nine half zero m5 m100 none", []string{
			`"id":"none"`, `"id":"ten","prediction":[{"probabilityDecimal":10}]`, `"id":"nine","prediction":[{"probabilityDecimal":9.99}]`, `"id":"m5","prediction":[{"probabilityDecimal":-5}]`,
			`"id":"m100","prediction":[{"probabilityDecimal":-100}]`, `"id":"zero","prediction":[{"probabilityDecimal":0.00}]`, `"id":"half","prediction":[{"probabilityDecimal":5e-1}]`,
			`"id":"tenish","prediction":[{"probabilityDecimal":10.01}]`, `"id":"k","prediction":[{"probabilityDecimal":1E3}]`}},
		{"quantity, canonical", "Observation", "value-quantity", "mg g kg", "kg g mg", []string{
			`"id":"kg","valueQuantity":{"value":1,` + ucum + `,"code":"kg"}`, `"id":"mg","valueQuantity":{"value":500,` + ucum + `,"code":"mg"}`, `"id":"g","valueQuantity":{"value":2,` + ucum + `,"code":"g"}`}},
		{"token", "Condition", "code", "a b text", "b a text", []string{
			`"id":"text","code":{"text":"x"}`, `"id":"b","code":{"coding":[{"code":"b"}]}`, `"id":"a","code":{"coding":[{"system":"urn:z","code":"a"}]}`}},
		{"reference", "Observation", "subject", "g p far none", "far p g none", []string{
			`"id":"none","subject":{"display":"x"}`, `"id":"far","subject":{"reference":"https://far.example/Patient/1"}`, `"id":"p","subject":{"reference":"Patient/1"}`, `"id":"g","subject":{"reference":"Group/1"}`}},
		{"uri", "ValueSet", "url", "a b", "b a", []string{`"id":"b","url":"http://b"`, `"id":"a","url":"http://a"`}},
		{"id", "Patient", "_id", "a b", "b a", []string{`"id":"b"`, `"id":"a"`}},
		{"lastUpdated", "Patient", "_lastUpdated", "a b", "b a", []string{
			`"id":"b","meta":{"lastUpdated":"2020-01-01T00:00:00.000002Z"}`, `"id":"a","meta":{"lastUpdated":"2020-01-01T00:00:00.000001Z"}`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := sorted(t, tt.typ, tt.code, false, tt.corpus); got != tt.up {
				t.Errorf("ascending %q, want %q", got, tt.up)
			}
			if got := sorted(t, tt.typ, tt.code, true, tt.corpus); got != tt.down {
				t.Errorf("descending %q, want %q", got, tt.down)
			}
		})
	}
}

func probability(t failing, number string) *fhir.Resource {
	return parsed(t, `{"resourceType":"RiskAssessment","prediction":[{"probabilityDecimal":`+number+`}]}`)
}

// Keys of numbers order as exact fractions do.
func TestSortKeysOrderNumbersExactly(t *testing.T) {
	t.Parallel()
	c := r4Catalog(t)
	p := c.Parameter("RiskAssessment", "probability")
	number := rapid.StringMatching(`-?(0|[1-9][0-9]{0,3})(\.[0-9]{1,4})?([eE]-?[0-9])?`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := number.Draw(t, "a"), number.Draw(t, "b")
		x, _ := new(big.Rat).SetString(a)
		y, _ := new(big.Rat).SetString(b)
		for _, descending := range []bool{false, true} {
			j, _ := c.SortValue(p, probability(t, a), descending)
			k, _ := c.SortValue(p, probability(t, b), descending)
			want := x.Cmp(y)
			if descending {
				want = -want
			}
			if got := bytes.Compare(search.AppendSortKey(nil, j), search.AppendSortKey(nil, k)); got != want {
				t.Errorf("%s, %s descending %t: got %d", a, b, descending, got)
			}
		}
	})
}

// Keys that follow each other compare as the list of them does: a zero byte or
// a common beginning in the first key does not reach into the second.
func TestSortKeysMayFollowEachOther(t *testing.T) {
	t.Parallel()
	c := r4Catalog(t)
	p := c.Parameter("ValueSet", "url")
	text := rapid.StringOfN(rapid.RuneFrom([]rune{'a', 'b', 0, 1, 0xFF, 'é'}), 1, 4, -1)
	rapid.Check(t, func(t *rapid.T) {
		descending := rapid.Bool().Draw(t, "descending")
		key := func(label string) (search.SortKeyValue, string) {
			s := text.Draw(t, label)
			root := fhir.NewObject(fhir.NewString("ValueSet").Named("resourceType"), fhir.NewString(s).Named("url"))
			r, err := fhir.NewResource(root)
			if err != nil {
				t.Fatal(err)
			}
			k, _ := c.SortValue(p, r, descending)
			return k, s
		}
		a1, s1 := key("a1")
		a2, s2 := key("a2")
		b1, u1 := key("b1")
		b2, u2 := key("b2")
		want := cmp.Or(strings.Compare(s1, u1), strings.Compare(s2, u2))
		if descending {
			want = -want
		}
		got := bytes.Compare(search.AppendSortKey(search.AppendSortKey(nil, a1), a2), search.AppendSortKey(search.AppendSortKey(nil, b1), b2))
		if got != want {
			t.Errorf("%q %q against %q %q: got %d", s1, s2, u1, u2, got)
		}
	})
}

func TestSortKeyPrintsNoValue(t *testing.T) {
	t.Parallel()
	c := r4Catalog(t)
	k, ok := c.SortValue(c.Parameter("Patient", "family"), parsed(t, `{"resourceType":"Patient","name":[{"family":"secret"}]}`), false)
	if out := fmt.Sprintf("%v %+v %#v %s %q", k, k, k, k, k); !ok || strings.Contains(out, "secret") {
		t.Error(out)
	}
}
