package fhir_test

import (
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/fhir"
)

func parse(t *testing.T, s string) *fhir.Resource {
	t.Helper()
	r, err := fhir.Parse([]byte(s), fhir.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSetIDAndMeta(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 13, 0, 0, 1000, time.FixedZone("", 3600))
	const stamp = `"versionId":"7","lastUpdated":"2026-03-01T12:00:00.000001Z"`
	for _, c := range []struct{ name, in, want string }{
		{"absent", `{"resourceType":"X","a":1}`, `{"resourceType":"X","id":"i","meta":{` + stamp + `},"a":1}`},
		{"id present", `{"a":1,"resourceType":"X","b":1,"id":"old","c":1.00}`, `{"a":1,"resourceType":"X","b":1,"id":"i","meta":{` + stamp + `},"c":1.00}`},
		{"other members keep their order", `{"resourceType":"X","meta":{"profile":["p"],"lastUpdated":"2000","tag":[],"versionId":"1"},"id":"i"}`,
			`{"resourceType":"X","meta":{"profile":["p"],"lastUpdated":"2026-03-01T12:00:00.000001Z","tag":[],"versionId":"7"},"id":"i"}`},
		{"only profile", `{"resourceType":"X","id":"i","meta":{"profile":["p"]}}`, `{"resourceType":"X","id":"i","meta":{` + stamp + `,"profile":["p"]}}`},
		{"meta is no object", `{"resourceType":"X","id":"i","meta":"m"}`, `{"resourceType":"X","id":"i","meta":{` + stamp + `}}`},
		{"escaped name", `{"resourceType":"X","\u0069d":"old"}`, `{"resourceType":"X","\u0069d":"i","meta":{` + stamp + `}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := parse(t, c.in)
			before := r.Clone()
			r.SetID("i")
			r.SetMeta("7", at)
			if got := string(r.AppendJSON(nil)); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if got := string(before.AppendJSON(nil)); got != c.in {
				t.Errorf("the clone changed: %s", got)
			}
		})
	}
}

func TestInstant(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"2015-02-07T13:28:17.239+02:00", "2017-01-01T00:00:00Z", "2017-01-01T00:00:00.123456789-11:30"} {
		if _, ok := fhir.ParseInstant(s); !ok {
			t.Errorf("%s refused", s)
		}
	}
	for _, s := range []string{"2017-01-01", "2017-01-01T00:00Z", "2017-01-01T00:00:00", "2017-01-01T24:00:00Z", "2017-02-30T00:00:00Z", "2017-01-01 00:00:00Z", "2017-01-01T00:00:00,5Z", "2017-01-01T00:00:60Z", ""} {
		if _, ok := fhir.ParseInstant(s); ok {
			t.Errorf("%q accepted", s)
		}
	}
}

func TestValidID(t *testing.T) {
	t.Parallel()
	long := "1234567890123456789012345678901234567890123456789012345678901234"
	for _, s := range []string{"a", "A-1.b", long} {
		if !fhir.ValidID(s) {
			t.Errorf("%q refused", s)
		}
	}
	for _, s := range []string{"", long + "5", "a_b", "$ne", "a/b", "é", "a b", "a\n"} {
		if fhir.ValidID(s) {
			t.Errorf("%q accepted", s)
		}
	}
}

func TestIssues(t *testing.T) {
	t.Parallel()
	var is fhir.Issues
	if is.HasErrors() {
		t.Error("none is an error")
	}
	is = append(is, fhir.Issue{Severity: fhir.Warning, Code: "value", Expression: []string{"Patient.x"}})
	if is.HasErrors() || is.Error() != "Patient.x: value" {
		t.Error(is.Error())
	}
	if is = append(is, fhir.Issue{Severity: "unheard-of"}); !is.HasErrors() {
		t.Error("an unknown severity must count as an error")
	}
}
