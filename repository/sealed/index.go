package sealed

import (
	"context"
	"slices"

	"github.com/fieldseal/fieldseal/crypto/blind"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/search"
	"github.com/fieldseal/fieldseal/repository"
)

// resourceTokens are the blind tokens of a resource's identifiers: one for each
// form in which a query may ask (R4 search.html#token).
func (v *Vault) resourceTokens(r *fhir.Resource) []repository.Token {
	var ts []repository.Token
	for _, t := range v.params.Extract(r) {
		if t.Value != "" {
			ts = append(ts, v.token(r.Type(), t.Parameter, search.Token{Form: search.Exact, System: t.System, Value: t.Value}),
				v.token(r.Type(), t.Parameter, search.Token{Form: search.AnySystem, Value: t.Value}))
		}
		if t.System != "" {
			ts = append(ts, v.token(r.Type(), t.Parameter, search.Token{Form: search.AnyValue, System: t.System}))
		}
	}
	slices.Sort(ts)
	return slices.Compact(ts)
}

func (v *Vault) token(resourceType, parameter string, t search.Token) repository.Token {
	switch {
	case t.Form == search.AnySystem:
		return repository.Token(v.tokens.Token(resourceType, parameter, blind.TokenCode, t.Value))
	case t.Form == search.AnyValue:
		return repository.Token(v.tokens.Token(resourceType, parameter, blind.TokenSystem, t.System))
	case t.System == "":
		return repository.Token(v.tokens.Token(resourceType, parameter, blind.TokenNoSystem, t.Value))
	}
	return repository.Token(v.tokens.Token(resourceType, parameter, blind.TokenSystemCode, t.System, t.Value))
}

// Plan is a query translated for the engine.
type Plan struct {
	Query repository.Query
	// IDs restricts the result to these logical ids; nil means any.
	IDs []string
}

// Plan translates a query. The tokens may over-select; Matches decides.
func (v *Vault) Plan(q search.Query) Plan {
	p := Plan{Query: repository.Query{Type: q.Type}}
	for _, c := range q.Criteria {
		if c.Parameter == search.ID {
			p.IDs = intersect(p.IDs, c)
			continue
		}
		var any []repository.Token
		for _, t := range c.Tokens {
			any = append(any, v.token(q.Type, c.Parameter, t))
		}
		p.Query.All = append(p.Query.All, any)
	}
	return p
}

func intersect(ids []string, c search.Criterion) []string {
	next := []string{}
	for _, t := range c.Tokens {
		if (ids == nil || slices.Contains(ids, t.Value)) && !slices.Contains(next, t.Value) {
			next = append(next, t.Value)
		}
	}
	return next
}

// Matches rechecks a candidate exactly on its opened values, under the classes
// that the caller may see: what is hidden does not match.
func (v *Vault) Matches(q search.Query, s *Stored, visible field.ClassSet) (bool, error) {
	if s.Head.Deleted {
		return false, nil
	}
	r, err := v.Open(s, visible)
	if err != nil {
		return false, err
	}
	return v.params.Match(q, r), nil
}

// Guards reads the guards of every token that the query asks for.
func (v *Vault) Guards(ctx context.Context, p Plan) ([]repository.Guard, error) {
	var ts []repository.Token
	for _, any := range p.Query.All {
		ts = append(ts, any...)
	}
	return v.store.Guards(ctx, ts)
}
