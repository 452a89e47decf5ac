package importer

import (
	"time"

	"github.com/fieldseal/fieldseal/fhir"
)

// Refusal is one resource, or one whole input, that was not stored.
type Refusal struct {
	Input string `json:"input"`
	// Entry is the index in the Bundle, Line the number in the ndjson file,
	// counted from 1. Both are absent when the whole input is meant.
	Entry *int `json:"entry,omitempty"`
	Line  int  `json:"line,omitempty"`
	// Status is the HTTP status, 0 when nothing was sent.
	Status      int      `json:"status,omitempty"`
	Diagnostics []string `json:"diagnostics"`
}

// Summary counts what a run did. Created, Updated, Unchanged and Refused count
// resources; an input that could not be read counts as one refused.
type Summary struct {
	Inputs    int `json:"inputs"`
	Skipped   int `json:"skipped"` // inputs that an earlier run completed
	Created   int `json:"created"`
	Updated   int `json:"updated"`
	Unchanged int `json:"unchanged"` // conditional creates that found their resource, deletions, reads
	Refused   int `json:"refused"`
	// Refusals holds the first 1000.
	Refusals []Refusal `json:"refusals,omitempty"`

	Seconds            float64 `json:"seconds"`
	ResourcesPerSecond float64 `json:"resourcesPerSecond"`
}

func (s *Summary) finish(d time.Duration) {
	s.Seconds = d.Seconds()
	if stored := s.Created + s.Updated + s.Unchanged; stored > 0 && d > 0 {
		s.ResourcesPerSecond = float64(stored) / d.Seconds()
	}
}

func (s *Summary) refuse(count int, r Refusal) {
	s.Refused += count
	if len(s.Refusals) < maxRefusals {
		s.Refusals = append(s.Refusals, r)
	}
}

// Bounds on what a Refusal repeats from an answer.
const (
	maxIssues         = 5
	maxDiagnosticsLen = 300 // bytes
)

// diagnostics renders an OperationOutcome as lines for people.
func diagnostics(outcome *fhir.Node) []string {
	issues := outcome.Member("issue")
	if issues == nil || issues.Kind() != fhir.Array {
		return []string{"the answer holds no OperationOutcome"}
	}
	var lines []string
	for i := range min(issues.Len(), maxIssues) {
		issue := issues.At(i)
		text := issue.Member("diagnostics").Text()
		if text == "" {
			text = issue.Member("details").Member("text").Text()
		}
		if code := issue.Member("code").Text(); text == "" {
			text = code
		}
		if paths := issue.Member("expression"); paths != nil && paths.Kind() == fhir.Array && paths.Len() > 0 {
			text = paths.At(0).Text() + ": " + text
		}
		lines = append(lines, cut(text))
	}
	return lines
}

// cut bounds a text without splitting a character.
func cut(s string) string {
	if len(s) <= maxDiagnosticsLen {
		return s
	}
	end := maxDiagnosticsLen
	for end > 0 && s[end]&0xc0 == 0x80 {
		end--
	}
	return s[:end] + "…"
}
