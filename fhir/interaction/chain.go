package interaction

import (
	"context"

	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir/search"
	"github.com/fieldseal/fieldseal/repository/sealed"
)

// maxLinked bounds what one hop of a chain or _has may find. What is more says
// little and costs much.
const maxLinked = 10_000

// resolve finds the far ends of every link of the expressions, the innermost
// first, as the caller sees them: what a read would not show does not match.
func (x *finder) resolve(ctx context.Context, expressions []*search.Expression) error {
	for _, e := range expressions {
		for _, c := range e.Conditions {
			if c.Link == nil {
				if err := x.expand(ctx, c); err != nil {
					return err
				}
				continue
			}
			if x.links[c.Link] != nil {
				continue
			}
			if err := x.resolve(ctx, c.Link.Targets); err != nil {
				return err
			}
			set, err := x.follow(ctx, c, e.Type)
			if err != nil {
				return err
			}
			x.links[c.Link] = set
		}
	}
	return nil
}

// follow searches the other end of a link: for a chain the resources found are
// its ends, for _has what they refer to.
func (x *finder) follow(ctx context.Context, c *search.Condition, resourceType string) (sealed.LinkSet, error) {
	set, l := sealed.LinkSet{}, c.Link
	var open field.ClassSet
	collect := func(h hit) { set[h.stored.Record.Key] = struct{}{} }
	if l.Reverse {
		open = l.Reference.Needs(search.NoModifier)
		collect = func(h hit) {
			x.Catalog.Extract(l.Reference, h.tree, func(v *search.Value) bool {
				if v.Type == resourceType && v.ID != "" {
					set[x.Vault.Key(v.Type, v.ID)] = struct{}{}
				}
				return true
			})
		}
	}
	for _, target := range l.Targets {
		err := x.find(ctx, target, open, "", func() int { return candidatePage }, func(h hit, _ string) bool {
			collect(h)
			return len(set) <= maxLinked
		})
		if err != nil {
			return nil, err
		}
		if len(set) > maxLinked {
			f := fail(Unprocessable, nil, "%s leads to more than %d resources; narrow it", c.Name, maxLinked)
			f.Issues[0].Code = "too-costly"
			return nil, f
		}
	}
	return set, nil
}
