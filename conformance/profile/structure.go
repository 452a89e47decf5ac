package profile

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/fhirpath"
)

// maxElements bounds a snapshot: the largest of the R4 guides has about 1,500.
const maxElements = 10_000

// ErrNoProfile says that a resource is no StructureDefinition with a snapshot.
var ErrNoProfile = errors.New("profile: not a StructureDefinition that has a snapshot")

// Structure is a StructureDefinition that was read. It is immutable and safe for
// concurrent use.
type Structure struct {
	URL  string
	Type string // that it constrains: "Patient", "Extension"
	root *node
}

// node is one element definition of a snapshot.
type node struct {
	path     string // in the definition: "Patient.name"
	name     string // last step, without [x]
	slice    string // name of the slice that it is, or empty
	min      int
	max      int        // -1 = *
	value    *fhir.Node // fixed[x] or pattern[x]
	pattern  bool       // value is a pattern
	types    []typeRef
	binding  string // value set of a required binding
	length   int    // maxLength, 0 for none
	rules    []*rule
	missing  string // what of the definition is not judged here
	children []*node
	slices   []*node
	slicing  *slicing
	same     string // id of the element whose content this one has (contentReference)
	content  *node
}

type typeRef struct {
	code              string
	profiles, targets []string
}

type rule struct {
	key, human string
	warning    bool
	expression *fhirpath.Expression // nil when it does not compile
}

type slicing struct {
	by     []discriminator
	closed bool
}

type discriminator struct {
	kind string // value, pattern, type, exists, profile
	path []string
}

// Parse reads a StructureDefinition.
func Parse(r *fhir.Resource) (*Structure, error) {
	root := r.Root()
	list := root.Member("snapshot").Member("element")
	if r.Type() != "StructureDefinition" || list == nil || list.Kind() != fhir.Array || list.Len() == 0 || list.Len() > maxElements {
		return nil, ErrNoProfile
	}
	p := parser{byID: map[string]*node{}, rules: map[string]*fhirpath.Expression{}}
	for i := range list.Len() {
		if err := p.element(list.At(i)); err != nil {
			return nil, err
		}
	}
	for _, n := range p.byID {
		if n.same == "" {
			continue
		}
		if n.content = p.byID[n.same]; n.content == nil {
			n.missing = "its content reference"
		}
	}
	return &Structure{URL: root.Member("url").Text(), Type: root.Member("type").Text(), root: p.root}, nil
}

type parser struct {
	root  *node
	byID  map[string]*node
	rules map[string]*fhirpath.Expression
}

// element adds one definition to the tree, by its id.
func (p *parser) element(d *fhir.Node) error {
	id := d.Member("id").Text()
	n, err := p.read(d)
	switch {
	case err != nil:
		return err
	case id == "" || p.byID[id] != nil:
		return fmt.Errorf("%w: an element without id, or with that of another", ErrNoProfile)
	case p.root == nil:
		p.root, p.byID[id] = n, n
		return nil
	}
	p.byID[id] = n
	dot := strings.LastIndexByte(id, '.')
	step, slice, sliced := strings.Cut(id[dot+1:], ":")
	parent := p.byID[id[:max(dot, 0)]]
	if parent == nil {
		return fmt.Errorf("%w: an element without its parent", ErrNoProfile)
	}
	n.name, n.slice = strings.TrimSuffix(step, "[x]"), slice
	if !sliced {
		parent.children = append(parent.children, n)
		return nil
	}
	whole := p.byID[id[:dot+1]+step]
	if whole == nil {
		return fmt.Errorf("%w: a slice without the element that it is of", ErrNoProfile)
	}
	if strings.Contains(slice, "/") {
		n.missing = "slices of slices"
	}
	whole.slices = append(whole.slices, n)
	return nil
}

// notJudged are the members of an ElementDefinition that this package does not
// evaluate.
func notJudged(name string) bool {
	return strings.HasPrefix(name, "minValue") || strings.HasPrefix(name, "maxValue") ||
		strings.HasPrefix(name, "_fixed") || strings.HasPrefix(name, "_pattern")
}

func (p *parser) read(d *fhir.Node) (*node, error) {
	n := &node{path: d.Member("path").Text(), max: -1}
	n.min, _ = strconv.Atoi(string(rawOf(d.Member("min"))))
	if most := d.Member("max").Text(); most != "*" && most != "" {
		var err error
		if n.max, err = strconv.Atoi(most); err != nil {
			return nil, fmt.Errorf("%w: max is no number", ErrNoProfile)
		}
	}
	n.length, _ = strconv.Atoi(string(rawOf(d.Member("maxLength"))))
	if ref := d.Member("contentReference").Text(); ref != "" {
		n.same = ref[strings.IndexByte(ref, '#')+1:]
	}
	for i := range d.Len() {
		m := d.At(i)
		switch name := m.Name(); {
		case strings.HasPrefix(name, "fixed"):
			n.value = m
		case strings.HasPrefix(name, "pattern"):
			n.value, n.pattern = m, true
		case notJudged(name):
			n.missing = strings.TrimLeft(name, "_")
		}
	}
	if b := d.Member("binding"); b.Member("strength").Text() == "required" {
		n.binding = b.Member("valueSet").Text()
	}
	n.types = typesOf(d.Member("type"))
	p.readRules(n, d.Member("constraint"))
	n.readSlicing(d.Member("slicing"))
	return n, nil
}

func rawOf(n *fhir.Node) []byte {
	if n == nil {
		return nil
	}
	return n.Raw()
}

func typesOf(list *fhir.Node) (types []typeRef) {
	for _, t := range items(list) {
		types = append(types, typeRef{code: t.Member("code").Text(), profiles: texts(t.Member("profile")), targets: texts(t.Member("targetProfile"))})
	}
	return types
}

func (p *parser) readRules(n *node, list *fhir.Node) {
	for _, c := range items(list) {
		text := c.Member("expression").Text()
		if text == "" {
			continue // for people, or in XPath alone
		}
		e, known := p.rules[text]
		if !known {
			e, _ = fhirpath.Compile(text)
			p.rules[text] = e
		}
		n.rules = append(n.rules, &rule{key: c.Member("key").Text(), human: c.Member("human").Text(), warning: c.Member("severity").Text() == "warning", expression: e})
	}
}

func (n *node) readSlicing(s *fhir.Node) {
	if s == nil {
		return
	}
	n.slicing = &slicing{closed: s.Member("rules").Text() == "closed"}
	if s.Member("rules").Text() == "openAtEnd" || string(rawOf(s.Member("ordered"))) == "true" {
		n.missing = "the order of slices"
	}
	for _, d := range items(s.Member("discriminator")) {
		by := discriminator{kind: d.Member("type").Text()}
		if path := d.Member("path").Text(); path != "$this" {
			by.path = strings.Split(strings.TrimPrefix(path, "$this."), ".")
		}
		n.slicing.by = append(n.slicing.by, by)
	}
}

func items(list *fhir.Node) (all []*fhir.Node) {
	for i := 0; list != nil && list.Kind() == fhir.Array && i < list.Len(); i++ {
		all = append(all, list.At(i))
	}
	return all
}

func texts(list *fhir.Node) (all []string) {
	for _, n := range items(list) {
		all = append(all, n.Text())
	}
	return all
}
