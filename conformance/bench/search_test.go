package main

import (
	"bytes"
	"fmt"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/conformance/bench/synthea"
	"github.com/fieldseal/fieldseal/fhir"
)

func TestParseSize(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]int{"100k": 100_000, "1m": 1_000_000, "20000": 20_000, "": 0, "k": 0, "-1k": 0, "0": 0, "9000000000000000m": 0} {
		if got, err := parseSize(s); got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %d, %v", s, got, err)
		}
	}
}

// Every kind of search is there, and each asks for what the data have.
func TestQueriesAskForWhatWasMade(t *testing.T) {
	t.Parallel()
	m, err := synthea.New(synthea.Options{Seed: 1, Resources: 4000})
	if err != nil {
		t.Fatal(err)
	}
	d := &dataset{Codes: codeCount{}}
	var all []byte
	for g, err := range m.Groups() {
		if err != nil {
			t.Fatal(err)
		}
		if err := d.observe(g); err != nil {
			t.Fatal(err)
		}
		d.Fill.Resources += len(g.Resources)
		for _, r := range g.Resources {
			all = append(append(all, r.JSON...), '\n')
		}
	}
	list := d.queries()
	if len(list) != 10 {
		t.Errorf("%d kinds of search", len(list))
	}
	for _, q := range list {
		for _, path := range q.paths {
			_, query, _ := strings.Cut(path, "?")
			values, err := url.ParseQuery(query)
			if err != nil {
				t.Fatal(err)
			}
			for name, v := range values {
				_, code, isToken := strings.Cut(v[0], "|")
				if isToken && !bytes.Contains(all, []byte(`"`+code+`"`)) || name == "patient" && !bytes.Contains(all, []byte(`"Patient/`+v[0]+`"`)) {
					t.Errorf("%s asks for a %s that nothing has", q.name, name)
				}
			}
		}
	}
}

func TestCodeOf(t *testing.T) {
	t.Parallel()
	for json, want := range map[string]string{
		`{"status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8331-1","display":"x"}]}}`: "http://loinc.org|8331-1",
		`{"code":{"text":"only"}}`:                      "",
		`{"code":{"coding":[{"system":"s","version":1}`: "",
	} {
		if got := codeOf([]byte(json)); got != want {
			t.Errorf("%s: %q", json, got)
		}
	}
}

func TestNearestCodesByRatio(t *testing.T) {
	t.Parallel()
	c := codeCount{"Condition a": 10, "Condition b": 140, "Condition c": 1000, "Observation d": 150}
	if got := c.nearest("Condition", 150, 2); !slices.Equal(got, []string{"b", "c"}) {
		t.Errorf("%v", got)
	}
}

func TestTransactionsHoldEveryResourceOnce(t *testing.T) {
	t.Parallel()
	var list []synthea.Resource
	for i := range 2*transactionSize + 1 {
		list = append(list, synthea.Resource{Type: "Basic", ID: fmt.Sprint(i), JSON: fmt.Appendf(nil, `{"resourceType":"Basic","id":"%d"}`, i)})
	}
	next := 0
	for part := range transactions(list) {
		b, err := fhir.Parse(transactionOf(part), bundleLimits)
		if err != nil {
			t.Fatal(err)
		}
		entries := b.Root().Member("entry")
		for i := range entries.Len() {
			if got := entries.At(i).Member("request").Member("url").Text(); got != fmt.Sprintf("Basic/%d", next) {
				t.Fatalf("entry %d is %s", next, got)
			}
			next++
		}
	}
	if next != len(list) {
		t.Errorf("%d entries", next)
	}
}

func TestWasteAndSlowdown(t *testing.T) {
	t.Parallel()
	if w := (cost{candidates: 10, matches: 8}).waste(); math.Abs(w-0.2) > 1e-9 {
		t.Errorf("waste %v", w)
	}
	if w := (cost{}).waste(); w != 0 {
		t.Errorf("waste of nothing %v", w)
	}
	f := filled{Rates: []float64{100, 100, 7, 7, 50, 50}}
	if s := f.slowdown(); math.Abs(s-0.5) > 1e-9 {
		t.Errorf("slowdown %v", s)
	}
}

func TestNextLink(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"link":[{"relation":"self","url":"a"},{"relation":"next","url":"b"}]}`: "b",
		`{"link":[{"relation":"self","url":"a"}]}`:                               "",
		`not JSON`: "",
	} {
		if got := nextLink([]byte(body)); got != want {
			t.Errorf("%s: %q", body, got)
		}
	}
}

func TestWriteBetweenKeepsTheRest(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "doc.md")
	if err := os.WriteFile(path, []byte("a\n<!-- x: begin -->\nold\n<!-- x: end -->\nb\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := writeBetween(path, "x", "new\n"); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "a\n<!-- x: begin -->\n\nnew\n<!-- x: end -->\nb\n" {
		t.Errorf("%q, %v", b, err)
	}
	if err := writeBetween(path, "y", ""); err == nil {
		t.Error("marks that are not there are no error")
	}
}

func TestFolderWithOtherFilesIsNotFilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if d, err := loadDataset(dir); d != nil || err != nil {
		t.Errorf("empty: %v, %v", d, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "other"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := loadDataset(dir); err == nil {
		t.Error("a folder with other files is no error")
	}
}
