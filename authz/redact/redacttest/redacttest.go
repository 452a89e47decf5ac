// Package redacttest says what a caller may see of a resource, for tests to
// compare the server with. It is written from the definitions, the reviewed list
// of element classes and the rules of docs/policy.md: a walk over decoded JSON
// from the top down, which shares no code with authz/redact and crypto/field. It
// is slow, trusts its input, and must be imported from _test.go files only.
//
// Start with New and Reference.View. Generator makes resources that have of
// everything a mask must treat in its own way.
package redacttest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fieldseal/fieldseal/fhir/definition"
)

// Mask is the set of the names of the classes that a caller sees.
type Mask map[string]bool

// MaskOf is the mask of a list of names: "clinical,limited".
func MaskOf(names string) Mask {
	m := Mask{}
	for _, name := range strings.FieldsFunc(names, func(r rune) bool { return r == ',' || r == '|' }) {
		m[name] = true
	}
	return m
}

// Classes are the names of all classes.
var Classes = [...]string{"identifier", "demographic", "limited", "contact", "narrative", "clinical", "administrative", "restricted"}

// Full reports whether the mask hides nothing.
func (m Mask) Full() bool {
	return !slices.ContainsFunc(Classes[:], func(c string) bool { return !m[c] })
}

// rule is one line of the reviewed list.
type rule struct{ datatype, class, source string }

// Reference knows the class of every element.
type Reference struct {
	defs       *definition.Registry
	elements   map[string]rule
	extensions map[string]string
}

// New reads the reviewed list of element classes (crypto/field/testdata/
// classes.golden) and the section `extensions` of the rules (crypto/field/
// classes.yaml).
func New(defs *definition.Registry, reviewed, rules []byte) (*Reference, error) {
	r := &Reference{defs: defs, elements: map[string]rule{}, extensions: map[string]string{}}
	for line := range strings.Lines(string(reviewed)) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		if len(f) != 4 {
			return nil, fmt.Errorf("line %q of the reviewed list has not four columns", line)
		}
		r.elements[f[0]] = rule{datatype: f[1], class: strings.TrimSuffix(f[2], "by its parts"), source: f[3]}
	}
	_, section, _ := strings.Cut(string(rules), "\nextensions:\n")
	for line := range strings.Lines(section) {
		if !strings.HasPrefix(line, "  ") {
			break
		}
		at := strings.LastIndex(line, ": ")
		r.extensions[strings.TrimSpace(line[:at])] = strings.TrimSpace(line[at+2:])
	}
	if len(r.elements) < 5000 || len(r.extensions) < 30 {
		return nil, fmt.Errorf("%d elements and %d extensions are not the whole list", len(r.elements), len(r.extensions))
	}
	return r, nil
}

// View is the resource as a caller sees it who sees the classes of the mask, and
// no versions when changes are concealed from it; nil when it must not be shown,
// because a hidden element could change the meaning of the others.
func (r *Reference) View(text []byte, mask Mask, conceal bool) []byte {
	return r.view(text, conceal, walker{r: r, mask: mask})
}

// Searched is what a search by the caller reads of the resource: the view without
// what stands in for hidden elements.
func (r *Reference) Searched(text []byte, mask Mask, conceal bool) []byte {
	return r.view(text, conceal, walker{r: r, mask: mask, alone: true})
}

func (r *Reference) view(text []byte, conceal bool, w walker) []byte {
	root, mask := parse(text), w.mask
	w.resource(root, nil)
	if w.withheld() {
		return nil
	}
	w.hides = slices.ContainsFunc(w.present, func(c string) bool { return !mask[c] })
	w.prune(root)
	if !mask.Full() {
		r.dress(root, r.defs.Type(root.text("resourceType")))
		r.dropOrphans(root)
		mark(root, "security", "REDACTED")
		mark(root, "tag", "SUBSETTED")
	}
	if conceal {
		if meta := root.member("meta"); meta != nil {
			for _, name := range []string{"versionId", "_versionId", "lastUpdated", "_lastUpdated"} {
				meta.drop(name)
			}
			if len(meta.kids) == 0 {
				root.drop("meta")
			}
		}
	}
	return root.append(nil)
}
