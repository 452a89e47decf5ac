package fhir_test

import (
	"testing"

	"github.com/fieldseal/fieldseal/fhir"
)

// TestAbsentMemberIsEmpty: what is not there can be read and counted.
func TestAbsentMemberIsEmpty(t *testing.T) {
	t.Parallel()
	r, err := fhir.Parse([]byte(`{"resourceType":"Patient"}`), fhir.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	absent := r.Root().Member("name").Member("given")
	if absent != nil || absent.Len() != 0 || absent.Text() != "" {
		t.Error("an absent member is something")
	}
}
