package interaction

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/search"
)

// named adds the resources that a canonical names by their url (R4
// references.html#canonical), in the version that it asks for or in any.
func (n *inclusion) named(ctx context.Context, in search.Include, p *search.Parameter, canonical string) error {
	key := p.URL + " " + in.Target + " " + canonical
	if n.names[key] {
		return nil
	}
	n.names[key] = true
	url, version, _ := strings.Cut(canonical, "|")
	for _, typ := range p.Targets {
		name := n.Catalog.Parameter(typ, "url")
		if name == nil || in.Target != "" && in.Target != typ || n.permitParameter(ctx, name) != nil {
			continue
		}
		c := &search.Condition{Name: name.Code, Parameter: name, Operands: []search.Operand{{Text: url}}}
		e := &search.Expression{Type: typ, Conditions: []*search.Condition{c}}
		var failed error
		err := n.find(ctx, e, whole, "", func() int { return candidatePage }, func(h hit, _ string) bool {
			if have := h.tree.Root().Member("version").Text(); version == "" || have == version {
				failed = n.read(ctx, h.stored.Record.Key)
			}
			return failed == nil
		})
		if err := errors.Join(err, failed); err != nil {
			return err
		}
	}
	return nil
}

// canonicals are the versions of the sources of _revinclude by their url: who
// refers to one names the url alone, or with the version.
type canonicals map[string][]string

// canonicalOf is the url and the version that a source shows.
func (n *inclusion) canonicalOf(ctx context.Context, h hit) (url, version string, err error) {
	name := n.Catalog.Parameter(h.stored.Record.Key.Type, "url")
	if name == nil || n.permitParameter(ctx, name) != nil {
		return "", "", nil
	}
	tree := h.tree
	if !h.whole {
		if tree, err = n.Vault.Open(h.stored, h.mask); err != nil {
			return "", "", err
		}
	}
	return tree.Root().Member("url").Text(), tree.Root().Member("version").Text(), nil
}

// name reports whether a resource names one of the sources: by its place, or by
// a canonical of that version.
func (n *inclusion) name(c canonicals, p *search.Parameter, tree *fhir.Resource) (found bool) {
	n.Catalog.Extract(p, tree, func(v *search.Value) bool {
		url, version, _ := strings.Cut(v.URL, "|")
		have, known := c[url]
		found = v.ID != "" || known && (version == "" || slices.Contains(have, version))
		return !found
	})
	return found
}
