package testscript

import (
	"context"
	"fmt"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/fhirpath"
)

// fhirPath evaluates an expression on a resource and gives the values as text.
func fhirPath(ctx context.Context, body []byte, expression string) ([]string, error) {
	r, err := fhir.Parse(body, fhir.Limits{MaxBytes: maxBody, MaxDepth: fhir.DefaultLimits.MaxDepth})
	if err != nil {
		return nil, differ("the body is no FHIR JSON")
	}
	e, err := fhirpath.Compile(expression)
	if err != nil {
		return nil, fmt.Errorf("the expression %s: %w", expression, err)
	}
	items, err := e.Evaluate(ctx, fhirpath.Context{Focus: fhirpath.Root(r)})
	if err != nil {
		return nil, fmt.Errorf("the expression %s: %w", expression, err)
	}
	values := make([]string, len(items))
	for i, item := range items {
		if values[i] = fhirpath.Text(item); values[i] == "" { // an element with elements of its own
			values[i] = string(fhirpath.AppendJSON(nil, item))
		}
	}
	return values, nil
}
