// Package compartment says to whom a resource belongs: whose keys seal it
// (Owner), in which patients' compartments it lies (Patients) and which
// organizations keep it (Orgs).
//
// Start with New. Owner and compartment are two different tables: one owner
// per resource for the keys, any number of compartments for access. The owner
// and organization tables are owner.yaml and organization.yaml, the
// compartments are the official CompartmentDefinition of Patient.
//
// Security notes: only literal references to this server count. A reference to
// another server, by identifier, or into contained resources makes nobody an
// owner and opens no compartment. A type that no table names belongs to
// nobody: its resources own themselves. An owner need not be a member: Task,
// Device and a few more are sealed under their patient's key although R4 keeps
// them out of the compartment, so decide access by Patients, never by Owner.
package compartment

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
	"github.com/fieldseal/fieldseal/fhir/simplepath"
)

// Kind says what owns a resource.
type Kind uint8

// The kinds of owners. The zero Kind is the safest: a key for one resource.
const (
	Self    Kind = iota // the resource itself
	Patient             // the named patient
	Type                // all resources of the type together
)

func (k Kind) String() string {
	switch k {
	case Self:
		return "self"
	case Patient:
		return "patient"
	case Type:
		return "type"
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Options configures a Table.
type Options struct {
	Definitions *definition.Registry
	// Bases are the base URLs under which references count as local besides
	// relative ones, without a slash at the end.
	Bases []string
}

// Table answers the three questions. It is immutable and safe for concurrent
// use.
type Table struct {
	bases    []string
	owners   map[string]ownerRule
	orgs     map[string]orgRule
	patients map[string][]simplepath.Path
}

// New compiles the tables. It fails when a compartment expression of the
// definitions is not understood, instead of leaving a compartment incomplete.
func New(o Options) (*Table, error) {
	t := &Table{bases: slices.Clone(o.Bases)}
	var err error
	if t.owners, err = parseOwners(ownerYAML); err != nil {
		return nil, fmt.Errorf("owner table: %w", err)
	}
	if t.orgs, err = parseOrgs(organizationYAML); err != nil {
		return nil, fmt.Errorf("organization table: %w", err)
	}
	if t.patients, err = compile(o.Definitions); err != nil {
		return nil, fmt.Errorf("patient compartment: %w", err)
	}
	return t, nil
}

// compile turns the parameters of the Patient compartment into paths.
func compile(reg *definition.Registry) (map[string][]simplepath.Path, error) {
	c := reg.Compartment("Patient")
	if c == nil {
		return nil, fmt.Errorf("no CompartmentDefinition")
	}
	all := map[string][]simplepath.Path{}
	for _, typ := range reg.ResourceTypes() {
		for _, code := range c.Params(typ) {
			p := reg.SearchParameter(typ, code)
			if p == nil {
				return nil, fmt.Errorf("%s: no search parameter %s", typ, code)
			}
			paths, err := simplepath.Parse(p.Expression, typ)
			if err != nil {
				return nil, fmt.Errorf("%s.%s: %w", typ, code, err)
			}
			if len(paths) == 0 {
				return nil, fmt.Errorf("%s.%s: no path in %q", typ, code, p.Expression)
			}
			all[typ] = append(all[typ], paths...)
		}
	}
	return all, nil
}

// Patients returns the logical ids of the local patients in whose compartment
// the resource lies, each once, in document order of the compartment's
// parameters. A Patient lies in its own compartment (R4
// compartmentdefinition-patient.html).
func (t *Table) Patients(r *fhir.Resource) []string {
	var ids []string
	if r.Type() == "Patient" && r.ID() != "" {
		ids = append(ids, r.ID())
	}
	for _, p := range t.patients[r.Type()] {
		ids = t.collect(ids, r.Root(), p, "Patient")
	}
	return ids
}

// Orgs returns the logical ids of the local organizations that keep the
// resource, each once.
func (t *Table) Orgs(r *fhir.Resource) []string {
	rule := t.orgs[r.Type()]
	var ids []string
	if rule.self && r.ID() != "" {
		ids = append(ids, r.ID())
	}
	for _, p := range rule.paths {
		ids = t.collect(ids, r.Root(), p, "Organization")
	}
	return ids
}

// Owner returns what owns the resource and, for Patient, the patient's logical
// id. See owner.yaml for the rules.
//
// A document belongs to whom its Composition is about, so that it is erased
// with that patient.
func (t *Table) Owner(r *fhir.Resource) (Kind, string) {
	if first := composition(r); first != nil {
		return t.Owner(first)
	}
	rule := t.owners[r.Type()]
	switch {
	case rule.patient && r.ID() != "":
		return Patient, r.ID()
	case rule.whole:
		return Type, ""
	}
	for _, p := range rule.paths {
		ids := t.collect(nil, r.Root(), p, "Patient")
		if len(ids) == 1 {
			return Patient, ids[0]
		}
		if len(ids) > 1 {
			return Self, ""
		}
	}
	return Self, ""
}

// composition is the first entry of a document (R4 bundle.html, bdl-11), else
// nil.
func composition(r *fhir.Resource) *fhir.Resource {
	entries := r.Root().Member("entry")
	if r.Type() != "Bundle" || r.Root().Member("type").Text() != "document" || entries == nil || entries.Len() == 0 {
		return nil
	}
	n := entries.At(0).Member("resource")
	if n.Member("resourceType").Text() != "Composition" {
		return nil
	}
	first, err := fhir.NewResource(n.Clone())
	if err != nil {
		return nil
	}
	return first
}

// Follows returns the local resource whose owner a Binary shares: the target
// of securityContext when that is not a patient itself. The caller looks it
// up; a target that does not exist leaves the Binary to itself.
func (t *Table) Follows(r *fhir.Resource) (fhir.Reference, bool) {
	if r.Type() != "Binary" {
		return fhir.Reference{}, false
	}
	ref, ok := t.local(r.Root().Member("securityContext"))
	return ref, ok && ref.Type != "Patient"
}

// collect appends the ids of local targets of the type that the path selects.
func (t *Table) collect(ids []string, root *fhir.Node, p simplepath.Path, target string) []string {
	if p.Target != "" && p.Target != target {
		return ids
	}
	p.Walk(root, func(n *fhir.Node) bool {
		ref, ok := t.local(n)
		if ok && ref.Type == target && !slices.Contains(ids, ref.ID) {
			ids = append(ids, ref.ID)
		}
		return true
	})
	return ids
}

// local reads a Reference element as a reference to this server.
func (t *Table) local(n *fhir.Node) (fhir.Reference, bool) {
	ref, ok := fhir.ParseReference(n.Member("reference").Text())
	if !ok || ref.ID == "" || ref.Type == "" || ref.Fragment != "" {
		return fhir.Reference{}, false
	}
	if ref.Base != "" && !slices.Contains(t.bases, strings.TrimSuffix(ref.Base, "/")) {
		return fhir.Reference{}, false
	}
	return ref, true
}

// FirstOwnerPath is the element whose one local Patient is the owner before all
// others, below the type ("subject"); empty when the type has no such element.
func (t *Table) FirstOwnerPath(resourceType string) string {
	paths := t.owners[resourceType].paths
	if len(paths) == 0 {
		return ""
	}
	return strings.Join(paths[0].Members, ".")
}
