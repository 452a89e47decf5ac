package app

import (
	"time"

	"github.com/fieldseal/fieldseal/conformance"
	"github.com/fieldseal/fieldseal/fhir/rest"
	"github.com/fieldseal/fieldseal/fhir/search"
)

// auditParameters are what the trail answers of AuditEvent's search
// parameters.
var auditParameters = []string{"agent", "date", "patient", "type"}

// served describes the routing table and the offered parameters for the
// CapabilityStatement.
func (a *App) served(params *search.Parameters) conformance.Served {
	out := conformance.Served{Definitions: a.definitions, Software: "Fieldseal", Version: Version,
		Description: "FHIR R4 data service that seals every sensitive element", Base: a.base, Published: time.Now(),
		Formats:  []string{"application/fhir+json", "json"},
		Security: conformance.Security{Description: "Every request but this one needs an opaque bearer token."}}
	var all, readOnly []string
	for _, i := range rest.Served() {
		switch i.Level {
		case rest.System:
			out.Interactions = append(out.Interactions, i.Code)
		case rest.Type:
			all = append(all, i.Code)
		case rest.ReadOnly:
			all, readOnly = append(all, i.Code), append(readOnly, i.Code)
		}
	}
	for _, typ := range a.definitions.ResourceTypes() {
		if typ == "AuditEvent" {
			out.Resources = append(out.Resources, conformance.Resource{Type: typ, Interactions: readOnly,
				SearchParameters: auditParameters, Versioning: "no-version"})
			continue
		}
		out.Resources = append(out.Resources, conformance.Resource{Type: typ, Interactions: all,
			SearchParameters: params.Offered(typ), Versioning: "versioned-update", ReadHistory: true, UpdateCreate: true,
			ConditionalCreate: true, ConditionalRead: "full-support", ConditionalDelete: "not-supported",
			ReferencePolicy: []string{"literal", "local"}})
	}
	return out
}
