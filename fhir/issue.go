package fhir

import "strings"

// Severities of an Issue (R4 valueset-issue-severity.html).
const (
	Fatal       = "fatal"
	Error       = "error"
	Warning     = "warning"
	Information = "information"
)

// Issue is one finding of an OperationOutcome (R4 operationoutcome.html).
// Diagnostics is for people and contains no element value; Expression holds
// FHIRPath expressions of the elements concerned.
type Issue struct {
	Severity    string
	Code        string // R4 valueset-issue-type.html
	Diagnostics string
	Expression  []string
}

// Issues is a list of findings, usable as an error.
type Issues []Issue

// Error joins the diagnostics.
func (is Issues) Error() string {
	parts := make([]string, 0, len(is))
	for _, i := range is {
		text := i.Diagnostics
		if text == "" {
			text = i.Code
		}
		if len(i.Expression) > 0 {
			text = i.Expression[0] + ": " + text
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; ")
}

// HasErrors reports whether any issue is an error or fatal. A severity that is
// not known counts as an error.
func (is Issues) HasErrors() bool {
	for _, i := range is {
		if i.Severity != Warning && i.Severity != Information {
			return true
		}
	}
	return false
}
