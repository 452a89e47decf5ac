package validation

import (
	"testing"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
)

func TestNarrativeFaultNamesThePlace(t *testing.T) {
	t.Parallel()
	r, err := fhir.Parse([]byte(div(`<script>x</script>`)), fhir.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	got := New(definition.Default()).Validate(r)
	if len(got) != 1 || got[0].Expression[0] != "Patient.text.div" || got[0].Code != codeInvariant {
		t.Errorf("%+v", got)
	}
}
