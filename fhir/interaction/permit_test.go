package interaction

import (
	"testing"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/fhir/search"
)

// values has an operand of each kind.
var values = map[search.Kind]string{search.Number: "1", search.Date: "2020", search.String: "x", search.TokenKind: "x",
	search.ReferenceKind: "x", search.QuantityKind: "1", search.URI: "urn:x", search.Special: "1|1"}

func operand(p *search.Parameter) string {
	if p.Kind != search.Composite {
		return values[p.Kind]
	}
	s := values[p.Components[0].Kind]
	for _, c := range p.Components[1:] {
		s += "$" + values[c.Kind]
	}
	return s
}

// TestNoParameterWithoutAPermit asks every parameter of every type as every
// role, as filter, order, chain, reverse chain, include and total: allowed
// exactly when role and scope show every class that it reads (decision 16).
func TestNoParameterWithoutAPermit(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	asked, refused := 0, 0
	for _, role := range []string{"clinician", "nurse", "researcher", "patient", "integration", "privacy-officer", "admin", "clerk"} {
		c := p.as(role)
		for _, typ := range p.Definitions.ResourceTypes() {
			if typ == auditEvent {
				continue
			}
			for _, param := range p.Catalog.Parameters(typ) {
				want := p.may(c, typ, param)
				for _, form := range p.forms(param) {
					asked++
					if got := p.permitted(c, form.typ, form.query); got != (want && p.may(c, form.typ, form.needs)) {
						t.Errorf("%s: %s?%s permitted: %v", role, form.typ, form.query, got)
					} else if !got {
						refused++
					}
				}
			}
		}
	}
	if refused == 0 || refused == asked {
		t.Errorf("of %d questions %d were refused", asked, refused)
	}
	t.Logf("%d questions, %d refused", asked, refused)
}

type form struct {
	typ, query string
	needs      *search.Parameter // of typ, besides the parameter itself
}

// forms are the ways to ask a parameter.
func (p *shop) forms(param *search.Parameter) []form {
	typ := param.Resource
	filter := param.Code + "=" + operand(param)
	all := []form{{typ, filter, nil}, {typ, filter + "&_summary=count", nil}}
	switch param.Kind {
	case search.Composite, search.Special:
	default:
		all = append(all, form{typ, "_sort=-" + param.Code, nil})
	}
	if param.Kind == search.ReferenceKind {
		all = append(all, form{typ, "_include=" + typ + ":" + param.Code, nil})
	}
	if ref := p.Catalog.Parameter("Provenance", "target"); ref != nil && ref.LeadsTo(typ) {
		all = append(all, form{"Provenance", "target:" + typ + "." + filter, ref})
	}
	if p.Catalog.Parameter(typ, "patient") != nil && typ != "Patient" {
		all = append(all, form{"Patient", "_has:" + typ + ":patient:" + filter, p.Catalog.Parameter("Patient", "_id")})
	}
	return all
}

// may is the rule, written out from the class table.
func (p *shop) may(c Call, typ string, param *search.Parameter) bool {
	g, err := p.Decider.Decide(p.t.Context(), c.Subject, authz.Request{Action: authz.Search, Type: typ})
	if err != nil || !g.Allowed() {
		return false
	}
	return param == nil || g.Ceiling().Contains(param.Needs(search.NoModifier))
}

func (p *shop) permitted(c Call, typ, query string) bool {
	p.t.Helper()
	q, err := p.Catalog.ParseSearch([]string{typ}, query, search.ParseOptions{Bases: []string{base}})
	if err != nil {
		p.t.Errorf("%s?%s: %v", typ, query, err)
		return false
	}
	x := p.newFinder(c, within{path: typ, types: []string{typ}})
	err = x.permitSearch(p.t.Context(), &audit.Event{}, q)
	if err != nil && !isDenied(err) && failure(err).Kind != Denied {
		p.t.Errorf("%s?%s: %v", typ, query, err)
	}
	return err == nil
}
