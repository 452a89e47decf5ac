package validation

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
)

// samples are near misses of each lexical rule, mutated by the property test.
var samples = map[string][]string{
	"base64Binary": {"YWJj", "YWJj YWJj", "Y WJj", "YWJ=", "YQ==", "Y==="},
	"code":         {"a", "a b", "a  b", " a", "a ", "a\tb"},
	"date":         {"1980", "1980-05", "1980-05-12", "0000", "0001", "1980-13", "1980-00-01", "1980-5-1", "1980-05-32"},
	"dateTime":     {"1980", "1980-05-12T10:11:12Z", "1980-05-12T10:11:12.5+14:00", "1980-05-12T10:11:60-13:59", "1980-05T10:11:12Z", "1980-05-12T24:00:00Z", "1980-05-12T10:11:12+14:01"},
	"id":           {"a", "A-1.b", "a_b", strings.Repeat("a", 64), strings.Repeat("a", 65)},
	"instant":      {"1980-05-12T10:11:12Z", "1980-05-12T10:11:12.123-05:00", "1980-05-12", "1980-05-12T10:11:12."},
	"oid":          {"urn:oid:1.2.3", "urn:oid:3.1", "urn:oid:1.02", "urn:oid:1.0.1", "urn:oid:1.", "urn:oid:1"},
	"time":         {"10:11:12", "23:59:60.99", "24:00:00", "10:11", "10:11:12."},
	"uri":          {"http://e.org", "a b", "urn:x"},
	"uuid":         {"urn:uuid:c757873d-ec9a-4326-a141-556f43239520", "urn:uuid:C757873d-ec9a-4326-a141-556f43239520"},
}

var numberSamples = map[string][]string{
	"integer":     {"0", "-0", "1", "-12", "2147483647", "-2147483648"},
	"positiveInt": {"0", "1", "12", "2147483647"},
	"unsignedInt": {"0", "1", "-1", "12"},
}

// calendar drops what the regular expression lets pass and the calendar does
// not have: the 30th of February.
func calendar(s string) bool { return len(s) < 10 || dateLen(s) == 10 }

// strictBase64 says what validBase64 demands over R4's expression.
func strictBase64(s string) bool {
	s = strings.TrimRight(s, " \t\r\n")
	at := strings.IndexByte(s, '=')
	return at < 0 || len(strings.Trim(s[at:], "=")) == 0 && len(s)-at <= 2
}

func TestMatchersEqualTheRegularExpressions(t *testing.T) {
	t.Parallel()
	for name, list := range samples {
		re := regexp.MustCompile(`\A(?:` + definition.Default().Type(name).Regex + `)\z`)
		rapid.Check(t, func(t *rapid.T) {
			s := mutate(t, rapid.SampledFrom(list).Draw(t, "sample"))
			want := s != "" && re.MatchString(s)
			switch name {
			case "date", "dateTime", "instant":
				want = want && calendar(s)
			case "base64Binary":
				want = want && strictBase64(s)
			}
			if got := literalRules[name].valid(s); got != want {
				t.Fatalf("%s %q: %v, want %v", name, s, got, want)
			}
		})
	}
}

// mutate replaces, inserts or deletes up to three characters.
func mutate(t *rapid.T, s string) string {
	b := []byte(s)
	for range rapid.IntRange(0, 3).Draw(t, "edits") {
		i := rapid.IntRange(0, len(b)).Draw(t, "at")
		c := rapid.SampledFrom([]byte("0123456789abfzAFZ-:.+=/TZ \t\n_")).Draw(t, "c")
		switch op := rapid.IntRange(0, 2).Draw(t, "op"); {
		case op == 0 && i < len(b):
			b[i] = c
		case op == 1 && i < len(b):
			b = append(b[:i], b[i+1:]...)
		default:
			b = append(b[:i], append([]byte{c}, b[i:]...)...)
		}
	}
	return string(b)
}

func TestIntegersEqualTheRegularExpressions(t *testing.T) {
	t.Parallel()
	for name, list := range numberSamples {
		re := regexp.MustCompile(`\A(?:` + definition.Default().Type(name).Regex + `)\z`)
		rapid.Check(t, func(t *rapid.T) {
			s := mutate(t, rapid.SampledFrom(list).Draw(t, "sample"))
			if n, err := fhir.ParseValue([]byte(s), fhir.Limits{}); err != nil || n.Kind() != fhir.Number {
				t.Skip("not a number")
			}
			want := re.MatchString(s)
			if got := literalRules[name].valid(s); got && !want || !got && want && len(s) < 10 {
				t.Fatalf("%s %s: %v, want %v", name, s, got, want)
			}
		})
	}
}

func TestEveryPrimitiveHasARule(t *testing.T) {
	t.Parallel()
	for _, typ := range definition.Default().Types() {
		if _, ok := literalRules[typ.Name]; typ.Kind == definition.Primitive && !ok {
			t.Errorf("no rule for %s", typ.Name)
		}
	}
}
