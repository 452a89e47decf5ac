package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const extensionBase = "http://hl7.org/fhir/StructureDefinition/"

type structureJSON struct {
	Name           string          `json:"name"`
	Type           string          `json:"type"`
	Kind           string          `json:"kind"`
	Derivation     string          `json:"derivation"`
	Abstract       bool            `json:"abstract"`
	BaseDefinition string          `json:"baseDefinition"`
	Extension      []extensionJSON `json:"extension"`
	Snapshot       struct {
		Element []*elementJSON `json:"element"`
	} `json:"snapshot"`
}

type extensionJSON struct {
	URL         string `json:"url"`
	ValueURL    string `json:"valueUrl"`
	ValueCode   string `json:"valueCode"`
	ValueString string `json:"valueString"`
}

type elementJSON struct {
	Path             string `json:"path"`
	Min              int    `json:"min"`
	Max              string `json:"max"`
	ContentReference string `json:"contentReference"`
	IsModifier       bool   `json:"isModifier"`
	IsSummary        bool   `json:"isSummary"`
	Type             []struct {
		Code          string          `json:"code"`
		TargetProfile []string        `json:"targetProfile"`
		Extension     []extensionJSON `json:"extension"`
	} `json:"type"`
	Binding *struct {
		Strength string `json:"strength"`
		ValueSet string `json:"valueSet"`
	} `json:"binding"`
	Mapping []struct {
		Identity string `json:"identity"`
		Map      string `json:"map"`
	} `json:"mapping"`
}

// buildTypes turns every specialization into one type per object shape: the
// type itself, and one for each inner element with children of its own.
// Profiles on datatypes (SimpleQuantity) and the logical MetadataResource have
// no JSON shape of their own and are left out.
func buildTypes(in []*structureJSON) ([]*typeDef, error) {
	var out []*typeDef
	for _, s := range in {
		if s.Derivation == "constraint" || s.Kind == "logical" {
			continue
		}
		types, err := buildStructure(s)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Name, err)
		}
		out = append(out, types...)
	}
	slices.SortFunc(out, func(a, b *typeDef) int { return strings.Compare(a.name, b.name) })
	return out, nil
}

func buildStructure(s *structureJSON) ([]*typeDef, error) {
	root := &typeDef{name: s.Type, base: tail(s.BaseDefinition), abstract: s.Abstract}
	root.security = extensionOf(s.Extension, "structuredefinition-security-category").ValueCode
	switch s.Kind {
	case "resource":
		root.kind = kindResource
	case "complex-type":
		root.kind = kindComplex
	case "primitive-type":
		root.kind = kindPrimitive
	default:
		return nil, fmt.Errorf("kind %q", s.Kind)
	}
	byPath := map[string]*typeDef{s.Type: root}
	types := []*typeDef{root}
	for _, e := range s.Snapshot.Element[1:] {
		if root.kind == kindPrimitive && e.Path == s.Type+".value" {
			root.regex = extensionOf(e.Type[0].Extension, "regex").ValueString
			continue
		}
		i := strings.LastIndexByte(e.Path, '.')
		parent := byPath[e.Path[:i]]
		if parent == nil { // the first child makes its parent a type
			parent = &typeDef{name: e.Path[:i], kind: kindBackbone}
			byPath[parent.name] = parent
			types = append(types, parent)
		}
		el, err := buildElement(e, root.kind == kindResource)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Path, err)
		}
		parent.elements = append(parent.elements, el)
	}
	return types, resolveInner(s, types, byPath)
}

// resolveInner points inner elements and content references at their types.
func resolveInner(s *structureJSON, types []*typeDef, byPath map[string]*typeDef) error {
	source := map[string]*elementJSON{}
	for _, e := range s.Snapshot.Element {
		source[e.Path] = e
	}
	for _, t := range types {
		for _, el := range t.elements {
			path := el.path
			if ref := source[path].ContentReference; ref != "" {
				path = strings.TrimPrefix(ref, "#")
				el.types = []typeRefDef{{code: source[path].Type[0].Code}}
			}
			inner := byPath[path]
			if inner == nil {
				continue
			}
			if len(el.types) != 1 {
				return fmt.Errorf("%s: %d types with children", path, len(el.types))
			}
			el.types[0].typeName = inner.name
			inner.base = el.types[0].code
		}
	}
	return nil
}

func buildElement(e *elementJSON, inResource bool) (*elementDef, error) {
	el := &elementDef{
		path: e.Path, min: e.Min, max: -1, modifier: e.IsModifier, summ: e.IsSummary,
		name: e.Path[strings.LastIndexByte(e.Path, '.')+1:],
	}
	el.name, el.choice = strings.CutSuffix(el.name, "[x]")
	if e.Max != "*" {
		n, err := strconv.Atoi(e.Max)
		if err != nil {
			return nil, err
		}
		el.max = n
	}
	if e.Binding != nil {
		el.strength, el.valueSet = e.Binding.Strength, e.Binding.ValueSet
	}
	for _, m := range e.Mapping {
		w := strings.TrimSuffix(strings.TrimPrefix(m.Map, "FiveWs."), "[x]")
		if m.Identity == "w5" && !slices.Contains(strings.Split(el.fiveWs, ","), w) {
			el.fiveWs = strings.TrimPrefix(el.fiveWs+","+w, ",")
		}
	}
	for _, t := range e.Type {
		ref := typeRefDef{code: t.Code}
		if strings.HasPrefix(t.Code, "http://hl7.org/fhirpath/System.") {
			// Element.id and Extension.url carry their FHIR type in an extension;
			// xhtml.id lacks it, and is a string like every other Element.id.
			ref.code = "string"
			if v := extensionOf(t.Extension, "structuredefinition-fhir-type").ValueURL; v != "" {
				ref.code = v
			}
			if inResource && el.name == "id" && strings.Count(e.Path, ".") == 1 {
				ref.code = "id" // R4 resource.html#id; the snapshot says string
			}
		}
		for _, p := range t.TargetProfile {
			ref.targets = append(ref.targets, tail(p))
		}
		if slices.Contains(ref.targets, "Resource") {
			ref.targets = nil
		}
		if ref.code != "BackboneElement" && ref.code != "Element" {
			ref.typeName = ref.code
		}
		el.types = append(el.types, ref)
	}
	return el, nil
}

func extensionOf(list []extensionJSON, name string) extensionJSON {
	for _, x := range list {
		if x.URL == extensionBase+name {
			return x
		}
	}
	return extensionJSON{}
}
