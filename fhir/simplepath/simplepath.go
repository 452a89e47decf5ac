// Package simplepath understands the part of FHIRPath that compartments,
// owners and identifier parameters are written in: member access from a type,
// unions, parentheses, "as Type" and ".where(resolve() is Type)".
//
// Start with Parse. Everything else is refused, never half understood: a
// compartment path that is misread would put a record in front of the wrong
// eyes. Tests enumerate the official expressions. The full language is the
// business of fhir/fhirpath.
package simplepath

import (
	"errors"
	"fmt"
	"strings"

	"github.com/fieldseal/fieldseal/fhir"
)

// ErrNotSimple means that the expression needs more than this package.
var ErrNotSimple = errors.New("expression is not a simple path")

// Path is one alternative of an expression.
type Path struct {
	Type string // resource type the path starts from
	// Members are JSON member names from the resource down. For a choice that
	// is narrowed ("target as Identifier") the name carries the type
	// ("targetIdentifier").
	Members []string
	// Target restricts a Reference to targets of one type, empty for any.
	Target string
}

// String is the path in FHIRPath form.
func (p Path) String() string {
	s := p.Type + "." + strings.Join(p.Members, ".")
	if p.Target != "" {
		s += resolvePrefix + p.Target + ")"
	}
	return s
}

const resolvePrefix = ".where(resolve() is "

// Parse returns the alternatives of the expression that start from the type.
// An alternative of another type is skipped; one of this type that is not
// simple makes the whole expression ErrNotSimple.
func Parse(expression, resourceType string) ([]Path, error) {
	var paths []Path
	for _, part := range strings.Split(expression, "|") {
		p, err := parseOne(strings.TrimSpace(part))
		if err != nil {
			if startsFrom(part, resourceType) {
				return nil, fmt.Errorf("%w: %s", ErrNotSimple, expression)
			}
			continue
		}
		if p.Type == resourceType {
			paths = append(paths, p)
		}
	}
	return paths, nil
}

// startsFrom errs on the side of true: an alternative that cannot be parsed
// and might concern the type must not be dropped in silence.
func startsFrom(part, resourceType string) bool {
	name := strings.TrimLeft(part, " (")
	end := strings.IndexByte(name, '.')
	return end < 0 || name[:end] == resourceType || strings.ContainsAny(part, "()")
}

func parseOne(s string) (Path, error) {
	inner, wrapped := strings.CutPrefix(s, "(")
	if wrapped {
		end := strings.IndexByte(inner, ')')
		if end < 0 {
			return Path{}, ErrNotSimple
		}
		s = inner[:end] + inner[end+1:]
		if strings.Contains(inner[:end], " as ") && inner[end+1:] != "" {
			return parseNarrowed(inner[:end], inner[end+1:])
		}
	}
	var p Path
	if before, typ, ok := strings.Cut(s, resolvePrefix); ok {
		if typ, ok = strings.CutSuffix(typ, ")"); !ok || !isName(typ) {
			return Path{}, ErrNotSimple
		}
		p.Target, s = typ, before
	}
	s, typ, narrowed := strings.Cut(s, " as ")
	if narrowed && !isName(typ) {
		return Path{}, ErrNotSimple
	}
	return p.members(s, typ)
}

// parseNarrowed reads "(A.b as T).c".
func parseNarrowed(head, tail string) (Path, error) {
	p, err := parseOne(head)
	if err != nil {
		return Path{}, err
	}
	for name := range strings.SplitSeq(strings.TrimPrefix(tail, "."), ".") {
		if !isName(name) {
			return Path{}, ErrNotSimple
		}
		p.Members = append(p.Members, name)
	}
	return p, nil
}

func (p Path) members(s, narrow string) (Path, error) {
	names := strings.Split(s, ".")
	for _, n := range names {
		if !isName(n) {
			return Path{}, ErrNotSimple
		}
	}
	if len(names) < 2 || names[0][0] > 'Z' {
		return Path{}, ErrNotSimple
	}
	p.Type, p.Members = names[0], names[1:]
	if narrow != "" {
		last := &p.Members[len(p.Members)-1]
		*last += strings.ToUpper(narrow[:1]) + narrow[1:]
	}
	return p, nil
}

func isName(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c|0x20 < 'a' || c|0x20 > 'z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// Walk calls visit for every element that the path selects, in document
// order, until visit returns false. Arrays are entered.
func (p Path) Walk(root *fhir.Node, visit func(*fhir.Node) bool) bool {
	return walk(root, p.Members, visit)
}

func walk(n *fhir.Node, members []string, visit func(*fhir.Node) bool) bool {
	if n == nil {
		return true
	}
	if n.Kind() == fhir.Array {
		for i := range n.Len() {
			if !walk(n.At(i), members, visit) {
				return false
			}
		}
		return true
	}
	if len(members) == 0 {
		return visit(n)
	}
	return walk(n.Member(members[0]), members[1:], visit)
}
