package importer_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/gzip"

	"github.com/fieldseal/fieldseal/fhir/fhirtest"
	"github.com/fieldseal/fieldseal/internal/importer"
)

const (
	uuidA = "0e4d3a4c-1111-4222-8333-444455556666"
	uuidB = "0e4d3a4c-1111-4222-8333-444455557777"
)

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func run(t *testing.T, s *server, o importer.Options) (importer.Summary, error) {
	t.Helper()
	o.Do = s.do
	return importer.Run(t.Context(), o)
}

func mustRun(t *testing.T, s *server, o importer.Options) importer.Summary {
	t.Helper()
	sum, err := run(t, s, o)
	if err != nil {
		t.Fatalf("%v: %+v", err, sum)
	}
	return sum
}

func patients(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"resourceType":"Patient","id":"p%d"}`+"\n", i)
	}
	return b.String()
}

func TestKindsOfInput(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, file, text string
		keys             []string
		posted           int
	}{
		{"resource with id is put", "a.json", `{"resourceType":"Patient","id":"p1"}`, []string{"Patient/p1"}, 0},
		{"resource without id is posted", "a.json", `{"resourceType":"Patient"}`, nil, 1},
		{"ndjson", "a.ndjson", patients(3), []string{"Patient/p0", "Patient/p1", "Patient/p2"}, 0},
		{"ndjson without a last line end and with blank lines", "a.ndjson", "\n" + strings.TrimSpace(patients(2)), []string{"Patient/p0", "Patient/p1"}, 0},
		{"transaction POST becomes PUT under the uuid", "a.json",
			`{"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":"urn:uuid:` + uuidA + `","resource":{"resourceType":"Patient","id":"other"},"request":{"method":"POST","url":"Patient"}}]}`,
			[]string{"Patient/" + uuidA}, 0},
		{"ifNoneExist stays POST", "a.json",
			`{"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":"urn:uuid:` + uuidA + `","resource":{"resourceType":"Patient"},"request":{"method":"POST","url":"Patient","ifNoneExist":"identifier=a|b"}}]}`,
			nil, 1},
		{"collection", "a.json",
			`{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient","id":"p1"}},{"resource":{"resourceType":"Observation","id":"o1"}}]}`,
			[]string{"Patient/p1", "Observation/o1"}, 0},
		{"document is a resource itself", "a.json", `{"resourceType":"Bundle","id":"d1","type":"document","entry":[{"resource":{"resourceType":"Composition","id":"c1"}}]}`,
			[]string{"Bundle/d1"}, 0},
		{"a Bundle as a line", "a.ndjson",
			patients(1) + `{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"resourceType":"Patient","id":"q"},"request":{"method":"PUT","url":"Patient/q"}}]}` + "\n",
			[]string{"Patient/p0", "Patient/q"}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, dir := newServer(), t.TempDir()
			write(t, dir, tt.file, tt.text)
			sum := mustRun(t, s, importer.Options{Paths: []string{dir}})
			for _, k := range tt.keys {
				if s.versions[k] != 1 {
					t.Errorf("%s has %d versions, want 1; stored: %v", k, s.versions[k], s.versions)
				}
			}
			if s.posted != tt.posted || sum.Created != len(tt.keys)+tt.posted || len(s.versions) != sum.Created {
				t.Errorf("posted %d, summary %+v, stored %v", s.posted, sum, s.versions)
			}
		})
	}
}

func TestUUIDReferencesOfACollectionGoAsTransaction(t *testing.T) {
	t.Parallel()
	s, dir := newServer(), t.TempDir()
	write(t, dir, "a.json", `{"resourceType":"Bundle","type":"collection","entry":[
		{"fullUrl":"urn:uuid:`+uuidA+`","resource":{"resourceType":"Patient"}},
		{"fullUrl":"urn:uuid:`+uuidB+`","resource":{"resourceType":"Observation","subject":{"reference":"urn:uuid:`+uuidA+`"}}}]}`)
	sum := mustRun(t, s, importer.Options{Paths: []string{dir}})
	if sum.Created != 2 || s.requests != 1 || s.versions["Observation/"+uuidB] != 1 {
		t.Errorf("summary %+v, %d requests, stored %v", sum, s.requests, s.versions)
	}
}

func TestStandardInput(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		text    string
		created int
	}{
		"ndjson":          {patients(250), 250},
		"one line":        {patients(1), 1},
		"pretty document": {"{\n \"resourceType\": \"Patient\",\n \"id\": \"p1\"\n}\n", 1},
	} {
		s := newServer()
		sum := mustRun(t, s, importer.Options{Paths: []string{"-"}, Stdin: strings.NewReader(tt.text)})
		if sum.Created != tt.created || len(s.versions) != tt.created {
			t.Errorf("%s: %+v", name, sum)
		}
	}
}

func TestSyntheaLandsAsSent(t *testing.T) {
	t.Parallel()
	s, dir, want := newServer(), t.TempDir(), 0
	for name, data := range fhirtest.Synthea(t) {
		write(t, dir, "patients/"+filepath.Base(name), string(data))
		want += strings.Count(string(data), `"fullUrl"`)
	}
	for name, data := range fhirtest.SyntheaInformation(t) {
		write(t, dir, "z/"+filepath.Base(name), string(data)) // sorts last, must go first
		want += strings.Count(string(data), `"fullUrl"`)
	}
	sum := mustRun(t, s, importer.Options{Paths: []string{dir}, State: filepath.Join(t.TempDir(), "state")})
	if sum.Inputs != 5 || sum.Created+sum.Updated+sum.Unchanged != want || want == 0 {
		t.Errorf("%+v, want %d resources", sum, want)
	}
	before := s.requests
	again := mustRun(t, s, importer.Options{Paths: []string{dir}, State: filepath.Join(t.TempDir(), "other")})
	if again.Created != 0 || s.requests == before {
		t.Errorf("a second import without the state created %d", again.Created)
	}
}

func TestConditionalReferenceIsRetriedAtTheEnd(t *testing.T) {
	t.Parallel()
	s, dir := newServer(), t.TempDir()
	write(t, dir, "a.json", `{"resourceType":"Bundle","type":"transaction","entry":[{"fullUrl":"urn:uuid:`+uuidA+`","resource":{"resourceType":"Encounter","serviceProvider":{"reference":"Organization?identifier=x|late"}},"request":{"method":"POST","url":"Encounter"}}]}`)
	write(t, dir, "b.json", `{"resourceType":"Organization","id":"o","identifier":[{"value":"late"}]}`)
	sum := mustRun(t, s, importer.Options{Paths: []string{dir}, Parallel: 1})
	if sum.Created != 2 {
		t.Errorf("%+v", sum)
	}
}

func TestRefusedIsReportedAndTheRestLands(t *testing.T) {
	t.Parallel()
	s, dir := newServer(), t.TempDir()
	const secret = "Doe-Secret"
	write(t, dir, "a.ndjson", patients(2)+`{"resourceType":"Patient","id":"x","bad":true,"name":"`+secret+`"}`+"\n{\"resourceType\":\"Patient\",\""+secret+"\n"+`{"resourceType":"Patient","id":"not an id"}`+"\n")
	write(t, dir, "b.json", `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Patient","id":"t1"},"request":{"method":"PUT","url":"Patient/t1"}},{"resource":{"resourceType":"Patient","id":"t2","bad":true},"request":{"method":"PUT","url":"Patient/t2"}}]}`)
	sum, err := run(t, s, importer.Options{Paths: []string{dir}})
	if !errors.Is(err, importer.ErrRefused) {
		t.Fatalf("error %v", err)
	}
	if sum.Created != 2 || sum.Refused != 5 || len(sum.Refusals) != 4 {
		t.Errorf("%+v", sum)
	}
	b, _ := json.Marshal(sum)
	if bytes.Contains(b, []byte(secret)) {
		t.Errorf("the summary repeats a value: %s", b)
	}
	for _, r := range sum.Refusals {
		if strings.HasSuffix(r.Input, "b.json") && (r.Entry == nil || *r.Entry != 1 || r.Status != 422) {
			t.Errorf("transaction refusal %+v does not name entry 1", r)
		}
		if strings.HasSuffix(r.Input, "a.ndjson") && (r.Line < 3 || r.Line > 5) {
			t.Errorf("refusal %+v names no line", r)
		}
	}
}

func TestMalformedInputs(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"empty.json":         "",
		"blank.json":         " \n\t ",
		"truncated.json":     `{"resourceType":"Patient","id":"p1"`,
		"array.json":         `[]`,
		"duplicate.json":     `{"resourceType":"Patient","id":"a","id":"b"}`,
		"entries.json":       `{"resourceType":"Bundle","type":"batch","entry":{}}`,
		"entry.json":         `{"resourceType":"Bundle","type":"batch","entry":[1]}`,
		"noresource.json":    `{"resourceType":"Bundle","type":"collection","entry":[{}]}`,
		"norequest.json":     `{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"resourceType":"Patient"}}]}`,
		"notgzip.ndjson.gz":  "plain",
		"truncated.ndjson":   `{"resourceType":"Pat`,
		"binary.ndjson":      "\x00\xff\n",
		"deep.json":          strings.Repeat(`{"a":`, 10_000),
		"wrongtype.json":     `{"resourceType":7}`,
		"badidbundle.ndjson": `{"resourceType":"Bundle","type":"collection","entry":[{"resource":7}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, dir, name, text)
			write(t, dir, "zz.json", `{"resourceType":"Patient","id":"good"}`)
			s := newServer()
			sum, err := run(t, s, importer.Options{Paths: []string{dir}})
			if !errors.Is(err, importer.ErrRefused) || sum.Refused != 1 || sum.Created != 1 || len(sum.Refusals[0].Diagnostics) == 0 {
				t.Errorf("%v, %+v", err, sum)
			}
		})
	}
}

func TestEmptyNDJSONIsNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "a.ndjson", "")
	if sum := mustRun(t, newServer(), importer.Options{Paths: []string{dir}}); sum.Inputs != 1 || sum.Created != 0 {
		t.Errorf("%+v", sum)
	}
}

func TestGiantLineIsRefusedAndSkipped(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := write(t, dir, "a.ndjson", patients(1))
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	chunk := bytes.Repeat([]byte("x"), 1<<20)
	for range 65 {
		if _, err := f.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = f.WriteString("\n" + `{"resourceType":"Patient","id":"after"}` + "\n")
	_ = f.Close()
	s := newServer()
	sum, err := run(t, s, importer.Options{Paths: []string{dir}})
	if !errors.Is(err, importer.ErrRefused) || sum.Created != 2 || sum.Refused != 1 || sum.Refusals[0].Line != 2 {
		t.Errorf("%v, %+v", err, sum)
	}
}

func TestMissingFileStopsBeforeAnythingIsSent(t *testing.T) {
	t.Parallel()
	s, dir := newServer(), t.TempDir()
	good := write(t, dir, "a.json", `{"resourceType":"Patient","id":"p1"}`)
	odd := write(t, dir, "a.txt", "x")
	for _, bad := range []string{filepath.Join(dir, "none.json"), odd} {
		if _, err := run(t, s, importer.Options{Paths: []string{good, bad}}); err == nil || s.requests != 0 {
			t.Errorf("%s: error %v, %d requests", bad, err, s.requests)
		}
	}
}

func TestGzip(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(patients(120)))
	_ = z.Close()
	s, dir := newServer(), t.TempDir()
	write(t, dir, "a.ndjson.gz", b.String())
	if sum := mustRun(t, s, importer.Options{Paths: []string{dir}}); sum.Created != 120 || s.requests != 2 {
		t.Errorf("%+v, %d requests", sum, s.requests)
	}
}

func TestTooLargeBatchFallsBackToSingles(t *testing.T) {
	t.Parallel()
	s, dir := newServer(), t.TempDir()
	s.maxBundle = 500
	write(t, dir, "a.ndjson", patients(50))
	if sum := mustRun(t, s, importer.Options{Paths: []string{dir}}); sum.Created != 50 || s.requests != 51 {
		t.Errorf("%+v, %d requests", sum, s.requests)
	}
}

// Of two lines with one id the later must win, also across batches in flight.
func TestLaterLineWins(t *testing.T) {
	t.Parallel()
	s, dir := newServer(), t.TempDir()
	var b strings.Builder
	for i := range 60 {
		fmt.Fprintf(&b, `{"resourceType":"Patient","id":"same","n":%d}`+"\n"+`{"resourceType":"Patient","id":"p%d"}`+"\n", i, i)
	}
	write(t, dir, "a.ndjson", b.String())
	mustRun(t, s, importer.Options{Paths: []string{dir}, BatchSize: 7})
	if s.versions["Patient/same"] != 60 || !strings.Contains(s.bodies["Patient/same"], `"n":59`) {
		t.Errorf("%d versions, last %s", s.versions["Patient/same"], s.bodies["Patient/same"])
	}
}

func TestWaitsForRetryAfter(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "a.ndjson", patients(5))
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		s.trouble = []importer.Answer{{Status: 503, RetryAfter: "5"}, {Status: 429, RetryAfter: "7"}, {}, {Status: 409}}
		start := time.Now()
		sum := mustRun(t, s, importer.Options{Paths: []string{dir}})
		if d := time.Since(start); sum.Created != 5 || d < 12*time.Second || d > 30*time.Second {
			t.Errorf("%+v after %v", sum, d)
		}
	})
}

func TestServerThatStaysAwayEndsTheRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "a.ndjson", patients(1000))
	synctest.Test(t, func(t *testing.T) {
		s := newServer()
		for range 1000 {
			s.trouble = append(s.trouble, importer.Answer{Status: 503})
		}
		sum, err := run(t, s, importer.Options{Paths: []string{dir}})
		if !errors.Is(err, importer.ErrUnavailable) || s.requests > 60 {
			t.Errorf("%v after %d requests: %+v", err, s.requests, sum)
		}
	})
}

func TestRejectedTokenEndsTheRunAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "a.ndjson", patients(1000))
	s := newServer()
	for range 20 {
		s.trouble = append(s.trouble, importer.Answer{Status: 401})
	}
	if _, err := run(t, s, importer.Options{Paths: []string{dir}}); !errors.Is(err, importer.ErrUnavailable) || s.requests > 8 {
		t.Errorf("%v after %d requests", err, s.requests)
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "a.ndjson", patients(1000))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := newServer()
	_, err := importer.Run(ctx, importer.Options{Paths: []string{dir}, Do: s.do})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
