package terminology

import (
	"context"

	"github.com/fieldseal/fieldseal/fhir"
)

// Source finds stored resources. Its methods return nil without an error when
// there is none. An empty version asks for the current one; which that is
// among several is the Source's choice and must be stable. It is asked in
// every call, so that changes are seen at once, and may be used concurrently.
type Source interface {
	// CodeSystem finds the CodeSystem with the url.
	CodeSystem(ctx context.Context, url, version string) (*Stored, error)
	// ValueSet finds the ValueSet with the url.
	ValueSet(ctx context.Context, url, version string) (*Stored, error)
	// CodeSystemOf finds the CodeSystem whose valueSet element is the url
	// (R4 codesystem-definitions.html#CodeSystem.valueSet).
	CodeSystemOf(ctx context.Context, valueSet, version string) (*Stored, error)
}

// Stored is a resource that a Source found.
type Stored struct {
	// Tag changes whenever the content does and names one content only, such
	// as "CodeSystem/17/_history/3". Compiled forms are kept under it.
	Tag string
	// Load reads the resource; it is called when no compiled form of Tag is
	// kept. The resource must not be modified afterwards.
	Load func(ctx context.Context) (*fhir.Resource, error)
}

// nothing is the Source of a Service that has none.
type nothing struct{}

func (nothing) CodeSystem(context.Context, string, string) (*Stored, error)   { return nil, nil }
func (nothing) ValueSet(context.Context, string, string) (*Stored, error)     { return nil, nil }
func (nothing) CodeSystemOf(context.Context, string, string) (*Stored, error) { return nil, nil }
