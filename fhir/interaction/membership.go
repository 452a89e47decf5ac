package interaction

import (
	"context"
	"slices"

	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/search"
	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/sealed"
)

// membership is a compartment that a search is confined to (R4
// compartmentdefinition.html).
type membership struct {
	code, id string
	key      repository.StorageID
}

// member is one way for a resource to lie in the compartment: by a parameter.
type member struct {
	parameter *search.Parameter
	// before are the parameters of the expressions that stand earlier for the
	// same type: what is a member by one of them was found there.
	before []*search.Parameter
}

// compartment checks the path of a compartment search.
func (s *Service) compartment(code, id, resourceType string) (within, *Failure) {
	c := s.Definitions.Compartment(code)
	if c == nil || !s.Definitions.IsResource(code) {
		return within{}, fail(NotFound, nil, "there is no compartment of this type")
	}
	if !fhir.ValidID(id) {
		return within{}, fail(Malformed, nil, "a logical id is 1 to 64 letters, digits, '-' and '.'")
	}
	w := within{path: code + "/" + id + "/" + resourceType, compartment: &membership{code, id, s.Vault.Key(code, id).ID},
		members: map[*search.Expression]member{}}
	if resourceType == "*" {
		for _, t := range s.Definitions.ResourceTypes() {
			if len(c.Params(t)) > 0 && t != auditEvent {
				w.types = append(w.types, t)
			}
		}
		w.every = true
		return w, nil
	}
	if !s.Definitions.IsResource(resourceType) || resourceType == auditEvent || len(c.Params(resourceType)) == 0 {
		return within{}, fail(NotFound, nil, "no resource of this type lies in the compartment")
	}
	w.types = []string{resourceType}
	return w, nil
}

// enter turns the expressions of a search into those of the compartment: one
// for each parameter that makes a member. Whether a resource lies in a
// patient's compartment stands in group 0, so that one expression is enough.
func (x *finder) enter(ctx context.Context, q *search.Search) error {
	m := x.where.compartment
	if m == nil {
		return nil
	}
	expressions, keys := q.Expressions, q.Sort
	q.Expressions = nil
	q.Sort = slices.Clone(keys)
	for k := range q.Sort {
		q.Sort[k].Parameters = nil
	}
	for i, e := range expressions {
		for _, way := range x.ways(e.Type) {
			if err := x.permitParameter(ctx, way.parameter); err != nil {
				if x.where.every {
					continue
				}
				return err
			}
			copied := *e
			if m.code != "Patient" {
				copied.Conditions = append(slices.Clone(e.Conditions), &search.Condition{Name: way.parameter.Code, Parameter: way.parameter,
					Operands: []search.Operand{m.operand(way.parameter)}})
			}
			x.where.members[&copied] = way
			q.Expressions = append(q.Expressions, &copied)
			for k := range q.Sort {
				q.Sort[k].Parameters = append(q.Sort[k].Parameters, keys[k].Parameters[i])
			}
			if m.code == "Patient" {
				break
			}
		}
	}
	return nil
}

// operand is what a parameter of a member has: a reference, or the id of the
// resource that the compartment is named after.
func (m *membership) operand(p *search.Parameter) search.Operand {
	if p.Code == search.ID {
		return search.Operand{Form: search.AnySystem, Code: m.id}
	}
	return search.Operand{Type: m.code, ID: m.id}
}

// itself stands in a CompartmentDefinition for the resource that the
// compartment is named after.
const itself = "{def}"

// ways are the parameters by which resources of a type are members.
func (x *finder) ways(resourceType string) (ways []member) {
	var before []*search.Parameter
	for _, code := range x.Definitions.Compartment(x.where.compartment.code).Params(resourceType) {
		if code == itself {
			code = search.ID
		}
		if p := x.Catalog.Parameter(resourceType, code); p != nil && (code == search.ID || p.LeadsTo(x.where.compartment.code)) {
			ways = append(ways, member{p, slices.Clone(before)})
			before = append(before, p)
		}
	}
	return ways
}

// inside reports whether a candidate lies in the patient's compartment that the
// search is confined to.
func (x *finder) inside(e *search.Expression, st *sealed.Stored) bool {
	m := x.where.compartment
	return m == nil || m.code != "Patient" || !x.searched(e) || slices.Contains(st.Head.Patients, field.StorageID(m.key))
}

// earlier reports whether an expression that stands earlier has found the
// match.
func (x *finder) earlier(e *search.Expression, tree *fhir.Resource) bool {
	m := x.where.compartment
	if m == nil || m.code == "Patient" {
		return false
	}
	return slices.ContainsFunc(x.where.members[e].before, func(p *search.Parameter) (found bool) {
		x.Catalog.Extract(p, tree, func(v *search.Value) bool {
			found = v.Type == m.code && v.ID == m.id || p.Code == search.ID && v.Code == m.id
			return !found
		})
		return found
	})
}
