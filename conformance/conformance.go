// Package conformance computes what the server says about itself: the
// CapabilityStatement (R4 capabilitystatement.html).
//
// Start with Statement. It is a pure function of Served, which whoever wires
// the server fills from the routing table and the offered parameters, so a
// statement cannot claim what nothing serves. Claims that contradict each
// other (search parameters without search) are errors, all reported at once.
// Validation of resources is in conformance/validation.
package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/fieldseal/fieldseal/fhir/definition"
	"github.com/fieldseal/fieldseal/fhir/model"
)

// Served is what a server serves.
type Served struct {
	Definitions *definition.Registry
	Own         []*definition.Operation // operations that R4 does not define
	Software    string                  // name of the software
	Version     string
	Description string // of this installation
	Base        string // FHIR base URL
	// Published is when the set of abilities last changed: the build or the
	// start of the process.
	Published    time.Time
	Formats      []string // media types
	PatchFormats []string
	Security     Security
	Interactions []string // system level: transaction, batch, …
	Operations   []string // system level: codes of operations
	Compartments []string // codes that can be searched, such as Patient
	Resources    []Resource
}

// Security is the access protection that clients meet.
type Security struct {
	CORS bool
	// Services are codes of R4 valueset-restful-security-service.
	Services    []string
	Description string
	// OAuth are the endpoints of the authorization server that the extension
	// oauth-uris names: token, authorize, introspect, revoke, manage, register.
	OAuth []OAuthEndpoint
	// Launch is the URL at which an EHR starts apps; empty when it is not served.
	Launch string
}

// OAuthEndpoint is an endpoint of the authorization server.
type OAuthEndpoint struct{ Name, URL string }

// Resource is what is served for one type. Codes are R4's; an empty code makes
// no claim.
type Resource struct {
	Type              string
	Interactions      []string // read, vread, update, …
	SearchParameters  []string // codes of defined parameters
	Includes          []string
	RevIncludes       []string
	Operations        []string
	Versioning        string // no-version, versioned, versioned-update
	ReadHistory       bool   // past versions can be read
	UpdateCreate      bool
	ConditionalCreate bool
	ConditionalUpdate bool
	ConditionalRead   string // not-supported, modified-since, not-match, full-support
	ConditionalDelete string // not-supported, single, multiple
	ReferencePolicy   []string
}

// Statement renders the CapabilityStatement. The error joins everything that
// R4 does not know or that contradicts itself.
func Statement(s Served) ([]byte, error) {
	if s.Definitions == nil {
		return nil, errors.New("capability statement: definitions are missing")
	}
	b := &builder{reg: s.Definitions, own: s.Own}
	c := b.statement(s)
	if err := errors.Join(b.errs...); err != nil {
		return nil, fmt.Errorf("capability statement: %w", err)
	}
	out, err := model.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("capability statement: %w", err)
	}
	return out, nil
}

// builder collects errors, so that all are seen at once.
type builder struct {
	reg  *definition.Registry
	own  []*definition.Operation
	errs []error
}

func (b *builder) fail(format string, args ...any) {
	b.errs = append(b.errs, fmt.Errorf(format, args...))
}

func (b *builder) statement(s Served) model.CapabilityStatement {
	for what, ok := range map[string]bool{
		"software name": s.Software != "", "description": s.Description != "",
		"publication time": !s.Published.IsZero(), "format": len(s.Formats) > 0,
	} {
		if !ok {
			b.fail("%s is missing", what)
		}
	}
	return model.CapabilityStatement{
		Name:        optional(s.Software),
		Version:     optional(s.Version),
		Status:      code[model.PublicationStatus](b, "active"),
		Kind:        code[model.CapabilityStatementKind](b, "instance"),
		FhirVersion: code[model.FHIRVersion](b, "4.0.1"),
		Date:        s.Published.UTC().Format(time.RFC3339),
		Software:    &model.CapabilityStatementSoftware{Name: s.Software, Version: optional(s.Version)},
		Implementation: &model.CapabilityStatementImplementation{
			Description: s.Description, Url: optional(s.Base),
		},
		Format:      s.Formats,
		PatchFormat: s.PatchFormats,
		Rest:        []model.CapabilityStatementRest{b.rest(s)},
	}
}

func (b *builder) rest(s Served) model.CapabilityStatementRest {
	r := model.CapabilityStatementRest{
		Mode:     code[model.RestfulCapabilityMode](b, "server"),
		Security: security(s.Security),
	}
	for _, c := range s.Interactions {
		r.Interaction = append(r.Interaction, model.CapabilityStatementRestInteraction{Code: code[model.SystemRestfulInteraction](b, c)})
	}
	for _, c := range s.Compartments {
		if comp := b.reg.Compartment(c); comp != nil {
			r.Compartment = append(r.Compartment, comp.URL)
		} else {
			b.fail("unknown compartment %s", c)
		}
	}
	r.Operation = b.operations("", s.Operations)
	resources := slices.Clone(s.Resources)
	slices.SortFunc(resources, func(x, y Resource) int { return compare(x.Type, y.Type) })
	for i, res := range resources {
		if i > 0 && resources[i-1].Type == res.Type {
			b.fail("%s is listed twice", res.Type)
		}
		r.Resource = append(r.Resource, b.resource(res))
	}
	return r
}

// oauthURIs is the extension of SMART App Launch for the endpoints of the
// authorization server, which .well-known/smart-configuration replaces and many
// clients still read.
const oauthURIs = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"

const securityService = "http://terminology.hl7.org/CodeSystem/restful-security-service"

func security(s Security) *model.CapabilityStatementRestSecurity {
	out := &model.CapabilityStatementRestSecurity{Cors: &s.CORS, Description: optional(s.Description)}
	for _, c := range s.Services {
		out.Service = append(out.Service, model.CodeableConcept{Coding: []model.Coding{{System: optional(securityService), Code: optional(c)}}})
	}
	if len(s.OAuth) > 0 {
		uris := model.Extension{Url: oauthURIs}
		for _, e := range s.OAuth {
			uris.Extension = append(uris.Extension, model.Extension{Url: e.Name, ValueUri: optional(e.URL)})
		}
		out.Extension = append(out.Extension, uris)
	}
	return out
}

// code turns R4's code into samply's type. An unknown code is an error: the
// zero value of such a type is some valid code, which must not slip through.
func code[T any](b *builder, s string) T {
	var v T
	text, err := json.Marshal(s)
	if err == nil {
		err = json.Unmarshal(text, &v)
	}
	if err != nil || s == "" {
		b.fail("%q is no %T", s, v)
	}
	return v
}

// optionalCode is code for elements that may be absent.
func optionalCode[T any](b *builder, s string) *T {
	if s == "" {
		return nil
	}
	v := code[T](b, s)
	return &v
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// claimed is true as a pointer; false makes no claim.
func claimed(v bool) *bool {
	if !v {
		return nil
	}
	return &v
}
