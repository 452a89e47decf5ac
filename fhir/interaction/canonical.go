package interaction

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/fieldseal/fieldseal/conformance/profile"
	"github.com/fieldseal/fieldseal/conformance/terminology"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/search"
	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/sealed"
)

// Definitions finds stored code systems, value sets and profiles for the server's
// own use: those that a search or $validate names. The types hold no patient data, and nothing
// leaves but the answer to a question of membership. It implements
// terminology.Source and profile.Source: of several versions the one that was
// updated last is the current one.
type Definitions struct {
	Catalog *search.Catalog
	Vault   *sealed.Vault
	Store   repository.Store
}

var (
	_ terminology.Source = (*Definitions)(nil)
	_ profile.Source     = (*Definitions)(nil)
)

// maxDefinitions bounds how many resources one question looks at.
const maxDefinitions = 1000

// CodeSystem implements terminology.Source.
func (d *Definitions) CodeSystem(ctx context.Context, url, version string) (*terminology.Stored, error) {
	return d.find(ctx, "CodeSystem", "url", url, version)
}

// ValueSet implements terminology.Source.
func (d *Definitions) ValueSet(ctx context.Context, url, version string) (*terminology.Stored, error) {
	return d.find(ctx, "ValueSet", "url", url, version)
}

// CodeSystemOf implements terminology.Source. R4 has no search parameter for
// CodeSystem.valueSet, so that all stored code systems are looked at.
func (d *Definitions) CodeSystemOf(ctx context.Context, valueSet, version string) (*terminology.Stored, error) {
	return d.find(ctx, "CodeSystem", "valueSet", valueSet, version)
}

// Profile implements profile.Source.
func (d *Definitions) Profile(ctx context.Context, url, version string) (*profile.Structure, error) {
	found, err := d.find(ctx, "StructureDefinition", "url", url, version)
	if err != nil || found == nil {
		return nil, err
	}
	r, err := found.Load(ctx)
	if err != nil {
		return nil, err
	}
	return profile.Parse(r)
}

func (d *Definitions) find(ctx context.Context, resourceType, element, url, version string) (*terminology.Stored, error) {
	e := &search.Expression{Type: resourceType}
	if p := d.Catalog.Parameter(resourceType, element); p != nil {
		e.Conditions = []*search.Condition{{Name: element, Parameter: p, Operands: []search.Operand{{Text: url}}}}
	}
	plan, err := d.Vault.Plan(ctx, e, sealed.Scope{})
	if err != nil {
		return nil, err
	}
	plan.Query.Limit = maxDefinitions
	page, err := d.Store.Find(ctx, plan.Query)
	if err != nil {
		return nil, err
	}
	var found *terminology.Stored
	var latest repository.Stamp
	for _, rec := range page.Records {
		r, err := d.open(ctx, rec)
		if err != nil {
			return nil, err
		}
		if r == nil || r.Root().Member(element).Text() != url || !versionIs(r.Root().Member("version").Text(), version) || rec.Updated < latest {
			continue
		}
		latest = rec.Updated
		found = &terminology.Stored{Tag: fmt.Sprintf("%s/%x/%d", resourceType, rec.Key.ID, rec.Version),
			Load: func(context.Context) (*fhir.Resource, error) { return r, nil }}
	}
	return found, nil
}

func (d *Definitions) open(ctx context.Context, rec repository.Record) (*fhir.Resource, error) {
	st, err := d.Vault.Adopt(ctx, rec)
	if errors.Is(err, sealed.ErrErased) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return d.Vault.Open(st, field.AllClasses)
}

// versionIs reports whether a version is the wanted one, or begins with its
// whole parts ("4.0" stands for "4.0.1"). An empty wish takes any.
func versionIs(version, want string) bool {
	return want == "" || version == want || strings.HasPrefix(version, want+".")
}
