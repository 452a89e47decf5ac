package fhirpath_test

import (
	_ "embed" // the answers
	"strings"
	"testing"
)

// agreedAnswers are expressions, a tab, and the answer that this engine and
// fhirpath.js, which share nothing, both give.
//
//go:embed testdata/agreed.tsv
var agreedAnswers string

func TestAgreedAnswers(t *testing.T) {
	t.Parallel()
	var rows []row
	for line := range strings.Lines(agreedAnswers) {
		expression, want, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if !ok {
			t.Fatalf("%q is no row", line)
		}
		rows = append(rows, row{"agreed", expression, want})
	}
	if len(rows) < 400 {
		t.Errorf("%d rows", len(rows))
	}
	hold(t, rows)
}
