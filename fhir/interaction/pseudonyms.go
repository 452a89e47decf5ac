package interaction

import (
	"github.com/fieldseal/fieldseal/authz/pseudonym"
	"github.com/fieldseal/fieldseal/crypto/secret"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/search"
)

// project maps the ids of the caller's research project (decision 21), nil when
// the caller sees ids as they are.
func (s *Service) project(c Call) (*pseudonym.Project, error) {
	if c.traits == nil || c.traits.Project == "" {
		return nil, nil
	}
	if p, known := s.projects.Load(c.traits.Project); known {
		return p.(*pseudonym.Project), nil
	}
	a, b := s.Vault.PRF("pseudonym-project-1", c.traits.Project), s.Vault.PRF("pseudonym-project-2", c.traits.Project)
	key := secret.New(append(a[:], b[:]...))
	defer key.Wipe()
	p, err := pseudonym.New(key)
	if err != nil {
		return nil, err
	}
	known, _ := s.projects.LoadOrStore(c.traits.Project, p)
	return known.(*pseudonym.Project), nil
}

// pseudonymise shows the ids of an answer as its caller knows them.
func (s *Service) pseudonymise(c Call, a *Answer) error {
	p, err := s.project(c)
	if err != nil || p == nil {
		return err
	}
	a.names = &pseudonym.Rewriter{Project: p, Base: s.Base, Type: s.Definitions.IsResource}
	if a.body != nil {
		a.body = a.names.Append(make([]byte, 0, len(a.body)+len(a.body)/4), a.body)
	}
	a.location = a.names.Text(a.location)
	return nil
}

// meant is the id that a caller means by what it sent. A caller that knows
// pseudonyms means nothing by an id.
func (s *Service) meant(c Call, id string) (string, error) {
	p, err := s.project(c)
	if err != nil || p == nil {
		return id, err
	}
	return p.Back(id), nil
}

// permitIDs replaces the ids in a condition by those that the caller means.
func (x *finder) permitIDs(c *search.Condition) error {
	p, err := x.project(x.call)
	if err != nil || p == nil {
		return err
	}
	for i := range c.Operands {
		back(p, c.Parameter, &c.Operands[i], x.Base)
	}
	return nil
}

func back(p *pseudonym.Project, param *search.Parameter, o *search.Operand, base string) {
	switch {
	case param.Kind == search.Composite:
		for i := range o.Parts {
			back(p, param.Components[i], &o.Parts[i], base)
		}
	case param.Code == search.ID && o.Code != "":
		o.Code = p.Back(o.Code)
	case param.Kind != search.ReferenceKind && param.Kind != search.URI:
	case o.ID != "":
		o.ID = p.Back(o.ID)
	default:
		o.URL, o.Text = local(p, o.URL, base), local(p, o.Text, base)
	}
}

// local is a URL of this server with the id that is meant.
func local(p *pseudonym.Project, text, base string) string {
	r, ok := fhir.ParseReference(text)
	if !ok || r.Type == "" || r.Base != "" && r.Base != base {
		return text
	}
	r.ID = p.Back(r.ID)
	return r.String()
}

// permitOrder refuses an order by ids or references, which would tell how ids
// compare.
func (x *finder) permitOrder(p *search.Parameter) error {
	if x.call.traits != nil && x.call.traits.Project != "" && (p.Code == search.ID || p.Kind == search.ReferenceKind) {
		return fail(Denied, nil, "the caller may not sort by %s", p.Code)
	}
	return nil
}
