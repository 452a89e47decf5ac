package validation

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
	"github.com/fieldseal/fieldseal/fhir/fhirtest"
)

// exampleLimits admits the largest official example.
var exampleLimits = fhir.Limits{MaxBytes: 32 << 20}

func parse(t testing.TB, b []byte) *fhir.Resource {
	t.Helper()
	r, err := fhir.Parse(b, exampleLimits)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// refusedExamples reads testdata/refused-examples.txt: file name, reason.
func refusedExamples(t *testing.T) map[string]string {
	t.Helper()
	f, err := os.Open("testdata/refused-examples.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	list := map[string]string{}
	for s := bufio.NewScanner(f); s.Scan(); {
		name, reason, found := strings.Cut(s.Text(), "\t")
		if found && !strings.HasPrefix(name, "#") {
			list[name] = reason
		}
	}
	return list
}

func TestOfficialExamplesAreAccepted(t *testing.T) {
	t.Parallel()
	v := New(definition.Default())
	refused := refusedExamples(t)
	for name, b := range fhirtest.Examples(t) {
		issues := v.Validate(parse(t, b))
		reason, listed := refused[name]
		switch {
		case listed && len(issues) == 0:
			t.Errorf("%s is listed as refused but accepted", name)
		case listed && !strings.Contains(issues.Error(), reason):
			t.Errorf("%s: refused for another reason than %q: %v", name, reason, issues)
		case !listed && len(issues) > 0:
			t.Errorf("%s: %v", name, issues)
		}
	}
}

func TestSyntheaBundlesAreAccepted(t *testing.T) {
	t.Parallel()
	v := New(definition.Default())
	for name, b := range fhirtest.Synthea(t) {
		if issues := v.Validate(parse(t, b)); issues != nil {
			t.Errorf("%s: %v", name, issues)
		}
	}
	for name, b := range fhirtest.SyntheaInformation(t) {
		if issues := v.Validate(parse(t, b)); issues != nil {
			t.Errorf("%s: %v", name, issues)
		}
	}
}

func TestAllFaultsAreReportedAtOnce(t *testing.T) {
	t.Parallel()
	r := parse(t, []byte(`{"resourceType":"Patient","gender":"x","birthDate":"1980-13-01","name":[{"given":["A",7],"nick":1}]}`))
	got := New(definition.Default()).Validate(r)
	want := []string{
		"Patient.gender code-invalid", "Patient.birthDate value",
		"Patient.name[0].given[1] structure", "Patient.name[0].nick structure",
	}
	if len(got) != len(want) || !got.HasErrors() {
		t.Fatalf("%d issues: %v", len(got), got)
	}
	for i, is := range got {
		if is.Expression[0]+" "+is.Code != want[i] || is.Severity != fhir.Error {
			t.Errorf("issue %d: %+v, want %s", i, is, want[i])
		}
	}
}

func TestIssueFloodIsBounded(t *testing.T) {
	t.Parallel()
	body := `{"resourceType":"Patient","name":[` + strings.Repeat(`{"x":1},`, 10_000) + `{}]}`
	got := New(definition.Default()).Validate(parse(t, []byte(body)))
	if len(got) != MaxIssues+1 || got[MaxIssues].Severity != fhir.Information {
		t.Errorf("%d issues", len(got))
	}
}

func TestIssuesNeverRepeatValues(t *testing.T) {
	t.Parallel()
	const secret = "ZEBRA-4711"
	v := New(definition.Default())
	for _, c := range refusals {
		body := strings.ReplaceAll(c.body, "bad", secret)
		r, err := fhir.Parse([]byte(body), fhir.Limits{})
		if err != nil {
			continue
		}
		for _, is := range v.Validate(r) {
			if strings.Contains(is.Diagnostics+strings.Join(is.Expression, " "), secret) {
				t.Errorf("%s: the issue repeats a value", c.rule)
			}
		}
	}
}

func TestValidatorIsReusable(t *testing.T) {
	t.Parallel()
	v := New(definition.Default())
	good := []byte(`{"resourceType":"Patient","contained":[{"resourceType":"Organization","id":"o","name":"x"}],"managingOrganization":{"reference":"#o"}}`)
	bad := []byte(`{"resourceType":"Patient","managingOrganization":{"reference":"#o"}}`)
	for range 3 {
		if got := v.Validate(parse(t, good)); got != nil {
			t.Errorf("good: %v", got)
		}
		if got := v.Validate(parse(t, bad)); len(got) != 1 {
			t.Errorf("bad: %v", got)
		}
	}
}

func FuzzValidate(f *testing.F) {
	for _, c := range refusals {
		f.Add([]byte(c.body))
	}
	for _, c := range acceptances {
		f.Add([]byte(c.body))
	}
	v := New(definition.Default())
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := fhir.Parse(b, fhir.Limits{})
		if err != nil {
			return
		}
		before := string(r.AppendJSON(nil))
		issues := v.Validate(r)
		if len(issues) > MaxIssues+1 {
			t.Errorf("%d issues", len(issues))
		}
		if string(r.AppendJSON(nil)) != before {
			t.Error("validation changed the resource")
		}
	})
}

func BenchmarkValidate(b *testing.B) {
	v := New(definition.Default())
	var resources []*fhir.Resource
	bytes := 0
	for _, raw := range fhirtest.Synthea(b) {
		entries := parse(b, raw).Root().Member("entry")
		for i := range entries.Len() {
			r, err := fhir.NewResource(*entries.At(i).Member("resource"))
			if err != nil {
				b.Fatal(err)
			}
			bytes += len(r.AppendJSON(nil))
			resources = append(resources, r)
		}
	}
	b.SetBytes(int64(bytes / len(resources)))
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		v.Validate(resources[i%len(resources)])
		i++
	}
}

// A body of a few MB must not cost more than its size: no list is searched
// once per item of another.
func TestHostileSizesStayLinear(t *testing.T) {
	t.Parallel()
	const n = 60_000
	var contained, performers, nulls, siblings, unknown strings.Builder
	for i := range n {
		id := strconv.Itoa(i)
		contained.WriteString(`{"resourceType":"Practitioner","id":"p` + id + `"},`)
		performers.WriteString(`{"reference":"#p` + id + `"},`)
		nulls.WriteString(`null,`)
		siblings.WriteString(`{"extension":[{"url":"u","valueCode":"c"}]},`)
		unknown.WriteString(`"u` + id + `":1,`)
	}
	list := func(b *strings.Builder) string { return "[" + strings.TrimSuffix(b.String(), ",") + "]" }
	v := New(definition.Default())
	for name, body := range map[string]string{
		"contained": observation(`"performer":` + list(&performers) + `,"contained":` + list(&contained)),
		"nulls":     patient(`"name":[{"given":` + list(&nulls) + `,` + unknown.String() + `"_given":` + list(&siblings) + `}]`),
	} {
		r := parse(t, []byte(body))
		start := time.Now()
		v.Validate(r)
		if d := time.Since(start); d > time.Minute { // 60,000² comparisons take longer
			t.Errorf("%s: %v", name, d)
		}
	}
}
