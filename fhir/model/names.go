package model

import samply "github.com/samply/golang-fhir-models/fhir-models/fhir"

// The structs that other rooms fill, by their own names.
type (
	AuditEvent             = samply.AuditEvent
	AuditEventAgent        = samply.AuditEventAgent
	AuditEventAgentNetwork = samply.AuditEventAgentNetwork
	AuditEventSource       = samply.AuditEventSource
	AuditEventEntity       = samply.AuditEventEntity
	AuditEventEntityDetail = samply.AuditEventEntityDetail
	AuditEventAction       = samply.AuditEventAction
	AuditEventOutcome      = samply.AuditEventOutcome

	CapabilityStatement                        = samply.CapabilityStatement
	CapabilityStatementSoftware                = samply.CapabilityStatementSoftware
	CapabilityStatementImplementation          = samply.CapabilityStatementImplementation
	CapabilityStatementRest                    = samply.CapabilityStatementRest
	CapabilityStatementRestSecurity            = samply.CapabilityStatementRestSecurity
	CapabilityStatementRestResource            = samply.CapabilityStatementRestResource
	CapabilityStatementRestResourceInteraction = samply.CapabilityStatementRestResourceInteraction
	CapabilityStatementRestResourceSearchParam = samply.CapabilityStatementRestResourceSearchParam
	CapabilityStatementRestResourceOperation   = samply.CapabilityStatementRestResourceOperation
	CapabilityStatementRestInteraction         = samply.CapabilityStatementRestInteraction
	PublicationStatus                          = samply.PublicationStatus
	CapabilityStatementKind                    = samply.CapabilityStatementKind
	RestfulCapabilityMode                      = samply.RestfulCapabilityMode
	FHIRVersion                                = samply.FHIRVersion
	ResourceType                               = samply.ResourceType
	ResourceVersionPolicy                      = samply.ResourceVersionPolicy
	ConditionalReadStatus                      = samply.ConditionalReadStatus
	ConditionalDeleteStatus                    = samply.ConditionalDeleteStatus
	ReferenceHandlingPolicy                    = samply.ReferenceHandlingPolicy
	TypeRestfulInteraction                     = samply.TypeRestfulInteraction
	SystemRestfulInteraction                   = samply.SystemRestfulInteraction
	SearchParamType                            = samply.SearchParamType

	CodeableConcept = samply.CodeableConcept
	Coding          = samply.Coding
	ContactDetail   = samply.ContactDetail
	Extension       = samply.Extension
	Identifier      = samply.Identifier
	Meta            = samply.Meta
	Narrative       = samply.Narrative
	Period          = samply.Period
	Reference       = samply.Reference
)

// Code sets a generated code from FHIR's own word. It returns an error for a
// word that the value set does not have, so that no first code slips in.
func Code[C any, P interface {
	*C
	UnmarshalJSON([]byte) error
}](word string) (C, error) {
	var c C
	err := P(&c).UnmarshalJSON([]byte(`"` + word + `"`))
	return c, err
}
