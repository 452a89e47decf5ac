package app

import (
	"maps"
	"slices"
	"time"

	"github.com/fieldseal/fieldseal/conformance"
	"github.com/fieldseal/fieldseal/fhir/interaction"
	"github.com/fieldseal/fieldseal/fhir/rest"
	"github.com/fieldseal/fieldseal/fhir/search"
)

// auditParameters are what the trail answers of AuditEvent's search
// parameters.
var auditParameters = []string{"agent", "date", "patient", "type"}

// served describes the routing table and the offered parameters for the
// CapabilityStatement.
func (a *App) served(catalog *search.Catalog) conformance.Served {
	out := conformance.Served{Definitions: a.definitions, Own: interaction.OwnOperations(a.base), Software: "Fieldseal", Version: Version,
		Description: "FHIR R4 data service that seals every sensitive element", Base: a.base, Published: time.Now(),
		Formats: []string{"application/fhir+json", "json"}, PatchFormats: rest.PatchFormats,
		Security: a.security()}
	for _, c := range a.definitions.ResourceTypes() {
		if a.definitions.Compartment(c) != nil {
			out.Compartments = append(out.Compartments, c)
		}
	}
	for _, o := range interaction.Operations() {
		if o.System {
			out.Operations = append(out.Operations, o.Code)
		}
	}
	reverse := revIncludes(catalog)
	var all, readOnly []string
	var able conformance.Resource
	for _, i := range rest.Served() {
		switch i.Level {
		case rest.System:
			out.Interactions = append(out.Interactions, i.Code)
		case rest.Type:
			all = append(all, i.Code)
		case rest.ReadOnly:
			all, readOnly = append(all, i.Code), append(readOnly, i.Code)
		case rest.Ability:
			a.able(&able, i.Code)
		}
	}
	for _, typ := range a.definitions.ResourceTypes() {
		if typ == "AuditEvent" {
			out.Resources = append(out.Resources, conformance.Resource{Type: typ, Interactions: readOnly,
				SearchParameters: auditParameters, Versioning: "no-version"})
			continue
		}
		r := able
		r.Type, r.Interactions, r.Versioning = typ, all, "versioned-update"
		r.SearchParameters, r.Includes, r.RevIncludes = offered(catalog, typ), includes(catalog, typ), reverse[typ]
		r.Operations = operations(typ)
		r.ReferencePolicy = []string{"literal", "logical"}
		if i := a.integrity(); i.OnWrite && i.OnDelete {
			r.ReferencePolicy = append(r.ReferencePolicy, "enforced")
		}
		out.Resources = append(out.Resources, r)
	}
	return out
}

// security says how a client gets a token. Scripts of the origins of registered
// clients may call too, so that CORS is always there.
func (a *App) security() conformance.Security {
	out := conformance.Security{CORS: true, Services: []string{"SMART-on-FHIR", "OAuth"},
		Description: "Every request but those for this statement and for the OpenAPI document needs an opaque bearer token; .well-known/smart-configuration says where one comes from."}
	at := a.oauth.Endpoints()
	out.Launch = at["launch"]
	delete(at, "launch")
	for _, name := range slices.Sorted(maps.Keys(at)) {
		out.OAuth = append(out.OAuth, conformance.OAuthEndpoint{Name: name, URL: at[name]})
	}
	return out
}

// able states what a route says that it can do.
func (a *App) able(r *conformance.Resource, ability string) {
	switch ability {
	case rest.ConditionalCreate:
		r.ConditionalCreate = true
	case rest.ConditionalRead:
		r.ConditionalRead = "full-support"
	case rest.ConditionalUpdate:
		r.ConditionalUpdate = true
	case rest.ConditionalDelete:
		r.ConditionalDelete = a.cfg.ConditionalDelete
	case rest.ReadHistory:
		r.ReadHistory = true
	case rest.UpdateCreate:
		r.UpdateCreate = true
	}
}

// operations are the codes of what is served on a type.
func operations(typ string) (codes []string) {
	for _, o := range interaction.Operations() {
		if o.Serves(typ) {
			codes = append(codes, o.Code)
		}
	}
	return codes
}

func offered(catalog *search.Catalog, typ string) (codes []string) {
	for _, p := range catalog.Parameters(typ) {
		codes = append(codes, p.Code)
	}
	return codes
}

// includes are the values of _include that resources of the type answer.
func includes(catalog *search.Catalog, typ string) (values []string) {
	for _, p := range catalog.Parameters(typ) {
		if p.Kind == search.ReferenceKind {
			values = append(values, typ+":"+p.Code)
		}
	}
	if len(values) > 0 {
		values = append(values, typ+":*", "*")
	}
	return values
}

// revIncludes are, by type, the values of _revinclude that lead to it.
// Parameters that may refer to any type are answered and not listed.
func revIncludes(catalog *search.Catalog) map[string][]string {
	out := map[string][]string{}
	for _, source := range catalog.Registry().ResourceTypes() {
		for _, p := range catalog.Parameters(source) {
			if p.Kind != search.ReferenceKind || source == "AuditEvent" {
				continue
			}
			for _, target := range p.Targets {
				out[target] = append(out[target], source+":"+p.Code)
			}
		}
	}
	return out
}
