package interaction

import (
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/crypto/field"
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
// role, as filter with each modifier, order, chain, reverse chain, include,
// reverse include, total and condition: allowed exactly when role and scope show
// every class that it reads (decision 16).
func TestNoParameterWithoutAPermit(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	asked, refused, urls := 0, 0, map[string]bool{}
	for _, role := range []string{"clinician", "nurse", "researcher", "patient", "registrar", "privacy-officer", "trial", "clerk"} {
		c := p.as(role)
		for _, typ := range p.Definitions.ResourceTypes() {
			if typ == auditEvent {
				continue
			}
			for _, param := range p.Catalog.Parameters(typ) {
				urls[param.URL] = true
				for _, form := range p.forms(param) {
					asked++
					want := p.may(c, form.typ, form.also, search.NoModifier) && p.may(c, typ, param, form.modifier) && !(role == "trial" && ordersIDs(form.query, param))
					if got := p.permitted(c, form.typ, form.query); got != want {
						t.Errorf("%s: %s?%s permitted: %v", role, form.typ, form.query, got)
					}
					if !want {
						refused++
					}
				}
			}
		}
	}
	if refused == 0 || refused == asked || len(urls) < 1300 {
		t.Errorf("of %d questions on %d parameters %d were refused", asked, len(urls), refused)
	}
	t.Logf("%d parameters, %d questions, %d refused", len(urls), asked, refused)
}

// ordersIDs reports whether the order would tell how ids compare, which nobody
// learns who sees pseudonyms.
func ordersIDs(query string, param *search.Parameter) bool {
	return strings.Contains(query, "_sort=_id") || strings.Contains(query, "_sort=-_id") || strings.HasPrefix(query, "_sort=") && param.Kind == search.ReferenceKind
}

// form is one way to ask a parameter.
type form struct {
	typ, query string
	modifier   search.Modifier
	also       *search.Parameter // of typ, besides the parameter itself
}

// forms are the ways to ask a parameter.
func (p *shop) forms(param *search.Parameter) []form {
	typ := param.Resource
	filter := param.Code + "=" + operand(param)
	all := []form{{typ: typ, query: filter}, {typ: typ, query: filter + "&_summary=count"}, {typ: typ, query: filter + "&_total=accurate&_count=1"},
		{typ: typ, query: "_id=x&" + filter + "&_elements=id"}}
	for _, m := range param.Modifiers() {
		if text, ok := modified[m]; ok {
			all = append(all, form{typ: typ, query: param.Code + ":" + m.String() + "=" + text, modifier: m})
		}
	}
	if param.Kind.Sorts() {
		all = append(all, form{typ: typ, query: "_sort=-" + param.Code}, form{typ: typ, query: "_sort=_id," + param.Code})
	}
	if param.Kind == search.ReferenceKind {
		all = append(all, form{typ: typ, query: "_include=" + typ + ":" + param.Code}, form{typ: typ, query: "_include:iterate=" + typ + ":" + param.Code})
		for _, target := range param.Targets {
			if target != auditEvent {
				all = append(all, form{typ: target, query: "_revinclude=" + typ + ":" + param.Code})
				break
			}
		}
	}
	if ref := p.Catalog.Parameter("Provenance", "target"); ref.LeadsTo(typ) {
		all = append(all, form{typ: "Provenance", query: "target:" + typ + "." + filter, also: ref})
	}
	if p.Catalog.Parameter(typ, "patient") != nil && typ != "Patient" {
		all = append(all, form{typ: "Patient", query: "_has:" + typ + ":patient:" + filter},
			form{typ: "Encounter", query: "subject:Patient._has:" + typ + ":patient:" + filter, also: p.Catalog.Parameter("Encounter", "subject")})
	}
	return all
}

// modified has an operand for each modifier whose value does not depend on the
// parameter.
var modified = map[search.Modifier]string{search.Missing: "true", search.ExactText: "x", search.Contains: "x", search.Text: "x", search.Not: "x",
	search.In: "urn:x", search.NotIn: "urn:x", search.OfType: "urn:x%7Cx%7Cx", search.IdentifierModifier: "x"}

// may is the rule, written out: the caller may search the type and sees the
// class of every element that is read.
func (p *shop) may(c Call, typ string, param *search.Parameter, m search.Modifier) bool {
	g, err := p.Decider.Decide(p.t.Context(), c.Subject, authz.Request{Action: authz.Search, Type: typ})
	if err != nil || !g.Allowed() {
		return false
	}
	if param != nil && param.Code == "_lastUpdated" && p.Decider.Traits(c.Subject).ConcealChanges {
		return false
	}
	return param == nil || g.Ceiling().Contains(p.reads(param, m))
}

// reads are the classes of the elements that a parameter looks at: of all its
// paths but those that only another modifier asks for.
func (p *shop) reads(param *search.Parameter, m search.Modifier) (classes field.ClassSet) {
	if param.Kind == search.Composite {
		for _, c := range param.Components {
			classes |= p.reads(c, m)
		}
		return classes
	}
	for _, path := range param.Paths {
		if by := askedBy(param.Kind, path); m != search.Missing && by != search.NoModifier && by != m {
			continue
		}
		classes |= p.Classes.ElementClasses(path)
	}
	return classes
}

// askedBy is the modifier that alone looks at an element.
func askedBy(k search.Kind, path string) search.Modifier {
	ends := func(suffix string) bool { return strings.HasSuffix(path, suffix) }
	switch {
	case k == search.ReferenceKind && ends(".identifier"):
		return search.IdentifierModifier
	case k == search.TokenKind && ends(".type.coding"):
		return search.OfType
	case k == search.TokenKind && (ends(".display") || ends(".text")), k == search.ReferenceKind && ends(".display"):
		return search.Text
	}
	return search.NoModifier
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

// TestConditionsNeedAPermit: the criteria of conditional writes follow the same
// rule (abuse 53).
func TestConditionsNeedAPermit(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	for _, role := range []string{"clinician", "researcher", "clerk", "patient", "registrar", "trial"} {
		c := p.as(role)
		for _, typ := range []string{"Patient", "Observation", "Encounter", "Practitioner", "Claim"} {
			for _, param := range p.Catalog.Parameters(typ) {
				_, err := p.matches(t.Context(), c, typ, param.Code+"="+operand(param), 2)
				denied := err != nil && (isDenied(err) || failure(err).Kind == Denied)
				if err != nil && !denied {
					t.Errorf("%s: %s?%s: %v", role, typ, param.Code, err)
				}
				if want := p.may(c, typ, param, search.NoModifier); denied == want {
					t.Errorf("%s: %s?%s allowed: %v", role, typ, param.Code, !denied)
				}
			}
		}
	}
}
