package redact

import "github.com/fieldseal/fieldseal/fhir"

// Conceal takes the version and its time from a resource, in place, so that it
// does not tell of changes that are not visible (decision 17).
func Conceal(res *fhir.Resource) {
	meta := res.Root().Member("meta")
	if meta == nil || meta.Kind() != fhir.Object {
		return
	}
	for _, name := range [...]string{"versionId", "_versionId", "lastUpdated", "_lastUpdated"} {
		meta.Remove(name)
	}
	if meta.Len() == 0 {
		res.Root().Remove("meta")
	}
}
