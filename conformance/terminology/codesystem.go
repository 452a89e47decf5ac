package terminology

import (
	"strings"

	"github.com/fieldseal/fieldseal/fhir"
)

// codeSystem is a compiled CodeSystem resource. It never changes.
type codeSystem struct {
	url, version, valueSet string

	complete   bool // content is complete: a code that is not listed does not exist
	absent     bool // content is not-present: nothing is known about its codes
	supplement bool
	exactCase  bool // caseSensitive is true
	// noSubsumption: the hierarchy is declared to mean something else than is-a.
	noSubsumption bool

	concepts []concept // document order, parents before their nested children
	byCode   map[string]int32
	byFolded map[string]int32 // nil when exactCase; ambiguous for two spellings
	parents  [][]int32
	children [][]int32
	declared map[string]string // property code → uri
}

// ambiguous marks a folded code that stands for several concepts.
const ambiguous int32 = -1

type concept struct {
	code, display      string
	abstract, inactive bool
	properties         []property
}

type property struct{ code, value string }

// compileCodeSystem reads a CodeSystem. The weight is its number of concepts.
func compileCodeSystem(root *fhir.Node) (*codeSystem, int, error) {
	cs := &codeSystem{
		url:      root.Member("url").Text(),
		version:  root.Member("version").Text(),
		valueSet: root.Member("valueSet").Text(),
		byCode:   map[string]int32{},
		declared: map[string]string{},
	}
	if root.Member("resourceType").Text() != "CodeSystem" {
		return nil, 0, fail(ErrInvalid, cs.url, "not a CodeSystem")
	}
	switch root.Member("content").Text() {
	case "complete":
		cs.complete = true
	case "supplement":
		cs.supplement = true
	case "not-present":
		cs.absent = true
	}
	cs.exactCase = isTrue(root.Member("caseSensitive"))
	meaning := root.Member("hierarchyMeaning").Text()
	cs.noSubsumption = meaning != "" && meaning != "is-a"
	for p := range items(root.Member("property")) {
		cs.declared[p.Member("code").Text()] = p.Member("uri").Text()
	}
	e := &edges{seen: map[[2]int32]bool{}}
	cs.addConcepts(root.Member("concept"), -1, e)
	cs.fold()
	cs.connect(e)
	return cs, 1 + len(cs.concepts), nil
}

// addConcepts reads a list of concepts and what is nested in them. The parser
// bounds the depth.
func (cs *codeSystem) addConcepts(list *fhir.Node, parent int32, e *edges) {
	for n := range items(list) {
		code := n.Member("code").Text()
		if code == "" {
			continue
		}
		i, known := cs.byCode[code]
		if !known {
			i = int32(len(cs.concepts))
			cs.byCode[code] = i
			cs.concepts = append(cs.concepts, concept{code: code, display: n.Member("display").Text()})
			cs.parents = append(cs.parents, nil)
			cs.children = append(cs.children, nil)
		}
		if parent >= 0 {
			cs.edge(e, parent, i)
		}
		for p := range items(n.Member("property")) {
			cs.addProperty(i, p, e)
		}
		cs.addConcepts(n.Member("concept"), i, e)
	}
}

// The URIs of the properties that FHIR defines
// (R4 codesystem-concept-properties.html).
const propertyURI = "http://hl7.org/fhir/concept-properties#"

// meaning is the FHIR-defined property that a code stands for here, or "".
func (cs *codeSystem) meaning(code string) string {
	if name, ok := strings.CutPrefix(cs.declared[code], propertyURI); ok {
		return name
	}
	switch code {
	case "parent", "child", "subsumedBy", "inactive", "status", "notSelectable", "abstract":
		return code
	}
	return ""
}

func (cs *codeSystem) addProperty(i int32, p *fhir.Node, e *edges) {
	code, value := p.Member("code").Text(), propertyValue(p)
	if code == "" {
		return
	}
	c := &cs.concepts[i]
	c.properties = append(c.properties, property{code, value})
	switch cs.meaning(code) {
	case "parent", "subsumedBy":
		e.named = append(e.named, link{value, c.code})
	case "child":
		e.named = append(e.named, link{c.code, value})
	case "inactive":
		c.inactive = c.inactive || value == "true"
	case "status":
		c.inactive = c.inactive || value == "retired" || value == "inactive"
	case "notSelectable", "abstract":
		c.abstract = c.abstract || value == "true"
	}
}

// propertyValue is the value[x] of a concept property as text; a Coding is its
// code.
func propertyValue(p *fhir.Node) string {
	for i := range p.Len() {
		m := p.At(i)
		if !strings.HasPrefix(m.Name(), "value") {
			continue
		}
		switch m.Kind() {
		case fhir.String:
			return m.Text()
		case fhir.Object:
			return m.Member("code").Text()
		case fhir.Bool, fhir.Number:
			return string(m.Raw())
		}
	}
	return ""
}

// fold indexes the codes without regard to case, unless case matters. A
// missing caseSensitive accepts any case (R4 codesystem-definitions.html).
func (cs *codeSystem) fold() {
	if cs.exactCase {
		return
	}
	cs.byFolded = make(map[string]int32, len(cs.concepts))
	for i, c := range cs.concepts {
		key := strings.ToLower(c.code)
		if _, twice := cs.byFolded[key]; twice {
			cs.byFolded[key] = ambiguous
		} else {
			cs.byFolded[key] = int32(i)
		}
	}
}

// find returns the concept with the code. The exact spelling wins.
func (cs *codeSystem) find(code string) (int32, bool) {
	if i, ok := cs.byCode[code]; ok {
		return i, true
	}
	if cs.byFolded == nil {
		return 0, false
	}
	i, ok := cs.byFolded[strings.ToLower(code)]
	return i, ok && i != ambiguous
}

func (cs *codeSystem) concept(i int32) Concept {
	c := &cs.concepts[i]
	return Concept{
		System: cs.url, Version: cs.version, Code: c.code, Display: c.display,
		Abstract: c.abstract, Inactive: c.inactive,
	}
}

func isTrue(n *fhir.Node) bool {
	return n != nil && n.Kind() == fhir.Bool && string(n.Raw()) == "true"
}

// isFalse is the explicit false; a missing member is neither.
func isFalse(n *fhir.Node) bool {
	return n != nil && n.Kind() == fhir.Bool && string(n.Raw()) == "false"
}

// items iterates over the items of an array; anything else has none.
func items(n *fhir.Node) func(yield func(*fhir.Node) bool) {
	return func(yield func(*fhir.Node) bool) {
		if n == nil || n.Kind() != fhir.Array {
			return
		}
		for i := range n.Len() {
			if !yield(n.At(i)) {
				return
			}
		}
	}
}
