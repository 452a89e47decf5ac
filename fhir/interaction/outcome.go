package interaction

import (
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/model"
)

var successOutcome = model.OperationOutcome(fhir.Issues{{Severity: "information", Code: "informational", Diagnostics: "stored"}})
