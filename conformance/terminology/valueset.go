package terminology

import (
	"strconv"
	"strings"

	"github.com/fieldseal/fieldseal/fhir"
)

// valueSet is a compiled ValueSet resource. It never changes.
type valueSet struct {
	url, version string

	include, exclude []selection
	activeOnly       bool     // compose.inactive is false
	supplements      []string // that the value set needs (valueset-supplement)

	// listed is the stored expansion, used when there is no compose.
	listed  []Concept
	index   map[pair]bool // of listed, abstract entries left out
	partial bool          // the stored expansion is not whole
	empty   bool          // neither compose nor expansion
}

// selection is one compose.include or exclude: all of its conditions.
type selection struct {
	system, version string
	concepts        []listedCode // nil: all that the filters select
	byCode          map[string]bool
	byFolded        map[string]string // lower case → the first such listed code
	filters         []filter
	sets            []reference
}

type listedCode struct{ code, display string }

// reference is an include.valueSet: a canonical, or a contained value set.
type reference struct {
	canonical string
	contained *valueSet
}

type pair struct{ system, code string }

// weight is the number of codes in the compiled form.
func (v *valueSet) weight() int {
	n := 1 + len(v.listed)
	for _, list := range [][]selection{v.include, v.exclude} {
		for i := range list {
			n += 1 + len(list[i].concepts)
			for _, r := range list[i].sets {
				if r.contained != nil {
					n += r.contained.weight()
				}
			}
		}
	}
	return n
}

const supplementExtension = "http://hl7.org/fhir/StructureDefinition/valueset-supplement"

func compileValueSet(root *fhir.Node) (*valueSet, int, error) {
	v, err := readValueSet(root, containedSets(root))
	if err != nil {
		return nil, 0, err
	}
	return v, v.weight(), nil
}

// containedSets finds the contained value sets by "#id".
func containedSets(root *fhir.Node) map[string]*fhir.Node {
	out := map[string]*fhir.Node{}
	for n := range items(root.Member("contained")) {
		if n.Member("resourceType").Text() == "ValueSet" {
			out["#"+n.Member("id").Text()] = n
		}
	}
	return out
}

// readValueSet compiles one ValueSet; contained ones cannot contain others.
func readValueSet(root *fhir.Node, contained map[string]*fhir.Node) (*valueSet, error) {
	v := &valueSet{url: root.Member("url").Text(), version: root.Member("version").Text()}
	if root.Member("resourceType").Text() != "ValueSet" {
		return nil, fail(ErrInvalid, v.url, "not a ValueSet")
	}
	for e := range items(root.Member("extension")) {
		if e.Member("url").Text() == supplementExtension {
			v.supplements = append(v.supplements, propertyValue(e))
		}
	}
	compose := root.Member("compose")
	if compose == nil {
		v.readExpansion(root.Member("expansion"))
		return v, nil
	}
	v.activeOnly = isFalse(compose.Member("inactive"))
	for _, part := range []struct {
		name string
		list *[]selection
	}{{"include", &v.include}, {"exclude", &v.exclude}} {
		for n := range items(compose.Member(part.name)) {
			s, err := v.readSelection(n, contained)
			if err != nil {
				return nil, err
			}
			*part.list = append(*part.list, s)
		}
	}
	return v, nil
}

func (v *valueSet) readSelection(n *fhir.Node, contained map[string]*fhir.Node) (selection, error) {
	s := selection{system: n.Member("system").Text(), version: n.Member("version").Text()}
	if list := n.Member("concept"); list != nil {
		s.byCode, s.byFolded = map[string]bool{}, map[string]string{}
		for c := range items(list) {
			if code := c.Member("code").Text(); code != "" && !s.byCode[code] {
				s.byCode[code] = true
				if key := strings.ToLower(code); s.byFolded[key] == "" {
					s.byFolded[key] = code
				}
				s.concepts = append(s.concepts, listedCode{code, c.Member("display").Text()})
			}
		}
	}
	for f := range items(n.Member("filter")) {
		compiled, err := compileFilter(f, v.url)
		if err != nil {
			return s, err
		}
		s.filters = append(s.filters, compiled)
	}
	for r := range items(n.Member("valueSet")) {
		ref, err := v.readReference(r.Text(), contained)
		if err != nil {
			return s, err
		}
		s.sets = append(s.sets, ref)
	}
	if s.system == "" && (len(s.sets) == 0 || s.byCode != nil || s.filters != nil) {
		return s, fail(ErrInvalid, v.url, "an include needs a system or a value set, and codes and filters need a system (vsd-1 to vsd-3)")
	}
	return s, nil
}

func (v *valueSet) readReference(canonical string, contained map[string]*fhir.Node) (reference, error) {
	if !strings.HasPrefix(canonical, "#") {
		return reference{canonical: canonical}, nil
	}
	n := contained[canonical]
	if n == nil {
		return reference{}, fail(ErrInvalid, v.url, "a contained value set is missing")
	}
	set, err := readValueSet(n, nil)
	return reference{contained: set}, err
}

// readExpansion keeps a stored expansion.
func (v *valueSet) readExpansion(n *fhir.Node) {
	v.index = map[pair]bool{}
	if n == nil {
		v.empty = true
		return
	}
	entries := v.readContains(n.Member("contains"))
	if t := n.Member("total"); t != nil && t.Kind() == fhir.Number {
		v.partial = string(t.Raw()) != strconv.Itoa(entries)
	}
	for e := range items(n.Member("extension")) {
		url := e.Member("url").Text()
		v.partial = v.partial || strings.HasSuffix(url, "valueset-unclosed") || strings.HasSuffix(url, "valueset-toocostly")
	}
}

// readContains returns how many codes stand in the list and below it.
func (v *valueSet) readContains(list *fhir.Node) int {
	count := 0
	for n := range items(list) {
		c := Concept{
			System: n.Member("system").Text(), Version: n.Member("version").Text(),
			Code: n.Member("code").Text(), Display: n.Member("display").Text(),
			Abstract: isTrue(n.Member("abstract")), Inactive: isTrue(n.Member("inactive")),
		}
		if c.Code != "" {
			count++
			if key := (pair{c.System, c.Code}); !c.Abstract && !v.index[key] {
				v.index[key] = true
				v.listed = append(v.listed, c)
			}
		}
		count += v.readContains(n.Member("contains"))
	}
	return count
}

// wholeSystem is the value set of all codes of a system.
func wholeSystem(url string, cs *codeSystem) *valueSet {
	return &valueSet{url: url, version: cs.version, include: []selection{{system: cs.url, version: cs.version}}}
}
