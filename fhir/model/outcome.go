package model

import (
	samply "github.com/samply/golang-fhir-models/fhir-models/fhir"

	"github.com/fieldseal/fieldseal/fhir"
)

// OperationOutcome encodes issues (R4 operationoutcome.html). A severity or
// code that R4 does not know becomes error and processing: an answer must not
// fail for want of a code. Without issues it says that all went well, because
// R4 demands at least one.
func OperationOutcome(issues fhir.Issues) []byte {
	if len(issues) == 0 {
		issues = fhir.Issues{{Severity: fhir.Information, Code: "informational", Diagnostics: "all ok"}}
	}
	o := samply.OperationOutcome{Issue: make([]samply.OperationOutcomeIssue, 0, len(issues))}
	for _, i := range issues {
		o.Issue = append(o.Issue, outcomeIssue(i))
	}
	b, err := Marshal(o)
	if err != nil { // text that is not UTF-8 was replaced, NUL is what remains
		return []byte(`{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"exception"}]}`)
	}
	return b
}

func outcomeIssue(i fhir.Issue) samply.OperationOutcomeIssue {
	out := samply.OperationOutcomeIssue{
		Severity:   samply.IssueSeverityError,
		Code:       samply.IssueTypeProcessing,
		Expression: i.Expression,
	}
	// Unknown codes leave the values above.
	_ = out.Severity.UnmarshalJSON([]byte(`"` + i.Severity + `"`))
	_ = out.Code.UnmarshalJSON([]byte(`"` + i.Code + `"`))
	if i.Diagnostics != "" {
		out.Diagnostics = &i.Diagnostics
	}
	return out
}
