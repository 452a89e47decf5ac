package search_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/fhir/search"
)

// ParseSearch never panics, is quick, and names no value in an error. A marker
// that stands in every value must not come back.
func FuzzParseSearch(f *testing.F) {
	for _, q := range []string{
		"name=a&birthdate=ge1980", `identifier=a|b%5C,c,d`, "_sort=-name,birthdate&_count=10", "general-practitioner:Practitioner.name=x",
		"_has:Observation:patient:_has:AuditEvent:entity:agent=x", "_include:iterate=Patient:*", "_summary=count&_total=none&_elements=name",
		"link.link.link.link.name=x", "near=1|2|3|km", "value-quantity=5.4e-3|http://unitsofmeasure.org|mg", "_type=Patient", "code-value-quantity=a$ge5",
	} {
		f.Add(q, false)
		f.Add(q, true)
	}
	c := r4Catalog(f)
	const marker = "zqxjk0"
	f.Fuzz(func(t *testing.T, query string, lenient bool) {
		for _, types := range [][]string{{"Patient"}, {"Observation"}, {"Location"}, nil} {
			start := time.Now()
			s, err := c.ParseSearch(types, query, search.ParseOptions{Lenient: lenient})
			if took := time.Since(start); took > time.Minute {
				t.Errorf("took %s", took)
			}
			if (s == nil) == (err == nil) {
				t.Fatal("neither result nor error, or both")
			}
			var pe *search.ParameterError
			if err != nil && !errors.As(err, &pe) {
				t.Errorf("%T", err)
			}
			if err == nil {
				for _, e := range s.Expressions {
					_ = e.Describe()
				}
			}
		}
		_, err := c.ParseSearch([]string{"Patient"}, marked(query, marker), search.ParseOptions{})
		if err != nil && strings.Contains(err.Error(), marker) {
			t.Errorf("an error repeats a value: %s", err)
		}
	})
}

// marked plants the marker in every value whose name does not hold it.
func marked(query, marker string) string {
	var pairs []string
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if decoded, err := url.QueryUnescape(name); err != nil || strings.Contains(decoded, marker) {
			continue
		}
		pairs = append(pairs, name+"="+marker+value, name+"="+value+marker)
	}
	return strings.Join(pairs, "&")
}
