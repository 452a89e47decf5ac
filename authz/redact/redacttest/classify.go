package redacttest

import (
	"slices"
	"strings"

	"github.com/fieldseal/fieldseal/fhir/definition"
)

// walker finds for every value of a resource the classes that must be visible.
type walker struct {
	r       *Reference
	mask    Mask
	alone   bool     // nothing stands in for what is hidden
	present []string // classes of which something is there
	hides   bool     // something that is there is hidden
	hidden  []*node  // objects of which a modifier element is hidden
}

// scope is what is known of the object around an element.
type scope struct {
	needs    []string // classes of everything around, the nearest last
	class    string   // of the container; empty when its parts have their own
	datatype bool     // the class covers a whole datatype
	person   bool     // of a Reference: it may lead to a patient or a relative
	modifier *node    // the object whose meaning the element may change
}

func (s scope) classed(class string) scope {
	if class != s.class {
		s.class, s.needs = class, append(slices.Clip(s.needs), class)
	}
	return s
}

// resource walks a resource: the root, a contained one, an entry of a Bundle.
func (w *walker) resource(n *node, around []string) {
	t := w.r.defs.Type(n.text("resourceType"))
	root := around == nil
	s := scope{needs: around}
	for _, m := range n.kids {
		switch {
		case root && (m.name == "resourceType" || m.name == "id"):
			m.fixed = true
		case root && m.name == "meta":
			w.meta(m)
		case m.name == "resourceType":
			w.leaf(m, s.classed("administrative"))
		default:
			before := len(w.hidden)
			w.element(n, m, t, s)
			if t != nil && t.Name == "Patient" {
				w.standIn(m, around, before)
			}
		}
	}
}

// meta: the version and its time are bookkeeping, the rest is administrative.
func (w *walker) meta(m *node) {
	if plain := len(m.kids) == 2 && m.kids[0].name == "versionId" && m.kids[1].name == "lastUpdated"; plain {
		m.fixed = true
		return
	}
	w.object(m, w.r.defs.Type("Meta"), scope{}.classed("administrative"))
	if w.mask["administrative"] {
		return
	}
	for _, kid := range m.kids {
		kid.fixed = kid.name == "versionId" || kid.name == "lastUpdated"
	}
}

// element gives the member m of an object n of type t its class.
func (w *walker) element(n, m *node, t *definition.Type, s scope) {
	if t == nil {
		w.leaf(m, s.classed("restricted"))
		return
	}
	e, typ := t.Lookup(m.name)
	if e == nil {
		if x, ok := strings.CutPrefix(m.name, "_"); ok {
			if e, typ = t.Lookup(x); e != nil && typ != nil && typ.Kind == definition.Primitive {
				w.sibling(m, w.ruled(e, typ, x, s))
				return
			}
		}
		w.leaf(m, s.classed("restricted")) // what no definition knows
		return
	}
	switch {
	case typ.Name == "Extension":
		if s.modifier == nil && e.IsModifier {
			s.modifier = n
		}
		w.items(m, func(item *node) { w.extension(item, s) })
	case typ.Abstract && typ.Kind == definition.Resource:
		w.items(m, func(item *node) { w.resource(item, append(slices.Clip(s.needs), "administrative")) })
	default:
		inner := w.ruled(e, typ, m.name, s)
		switch {
		case t.Name == "Reference" && m.name == "display":
			inner.modifier = nil
		case s.modifier == nil && e.IsModifier && s.class == "": // inside a class it goes with its container
			inner.modifier = n
		}
		w.items(m, func(item *node) { w.value(item, typ, inner) })
	}
}

// ruled finds the line of the reviewed list for an element.
func (w *walker) ruled(e *definition.Element, typ *definition.Type, name string, s scope) scope {
	path := e.Path[:strings.LastIndexByte(e.Path, '.')+1] + name
	if s.person {
		path = strings.Replace(path, "Reference.", "Reference(person).", 1)
	}
	s.person = false
	line, listed := w.r.elements[path]
	backbone := typ.Kind == definition.Backbone
	switch {
	case s.class != "" && (s.datatype || !listed || line.source != "path" || name == "id"):
		s.datatype = s.datatype || !backbone
		return s
	case listed && line.class == "":
		s.person = line.datatype == "Reference(person)"
		return s
	case listed:
		s.datatype = !backbone
		return s.classed(line.class)
	case backbone:
		return s
	}
	return s.classed("restricted")
}

func (w *walker) items(m *node, visit func(*node)) {
	if m.kind != '[' {
		visit(m)
		return
	}
	for _, item := range m.kids {
		visit(item)
	}
}

func (w *walker) value(n *node, t *definition.Type, s scope) {
	if n.kind == '{' && len(n.kids) > 0 {
		w.object(n, t, s)
		return
	}
	w.leaf(n, s)
}

func (w *walker) object(n *node, t *definition.Type, s scope) {
	for _, m := range n.kids {
		w.element(n, m, t, s)
	}
}

// sibling is `_x`, shown with x only.
func (w *walker) sibling(m *node, s scope) {
	s.modifier = nil
	w.items(m, func(item *node) {
		if item.kind != '{' {
			w.leaf(item, s)
			return
		}
		for _, part := range item.kids {
			switch part.name {
			case "id":
				w.leaf(part, s)
			case "extension":
				w.items(part, func(x *node) { w.extension(x, s) })
			default:
				w.leaf(part, s.classed("restricted"))
			}
		}
	})
}

// extension has the class of its URL, with all that it nests, and is shown with
// its element only.
func (w *walker) extension(n *node, s scope) {
	class, known := w.r.extensions[n.text("url")]
	if !known {
		class = "restricted"
	}
	if s.class == class {
		s.modifier = nil // it goes with its element
	}
	w.leaf(n, s.classed(class))
}

// leaf is visible as a whole or not at all.
func (w *walker) leaf(n *node, s scope) {
	if len(s.needs) == 0 {
		s = s.classed("restricted")
	}
	own := s.needs[len(s.needs)-1]
	for _, leaf := range n.leaves() {
		leaf.needs = s.needs
	}
	w.present = append(w.present, own)
	if s.modifier != nil && !w.mask[own] {
		w.hidden = append(w.hidden, s.modifier)
	}
}

// standIn is what limited shows of a Patient's dates and addresses. Of a modifier
// element (deceased) it is what must be visible.
func (w *walker) standIn(m *node, around []string, before int) {
	json := derived(m)
	if json == "" {
		return
	}
	if w.hidden = w.hidden[:before]; strings.HasPrefix(m.name, "deceased") && !w.mask["limited"] {
		w.hidden = append(w.hidden, nil)
	}
	w.present = append(w.present, "limited")
	if !w.mask[w.r.elements["Patient."+m.name].class] && w.mask["limited"] && w.sees(around) {
		if w.alone {
			w.died(m)
			return
		}
		m.other = parse([]byte(json))
	}
}

// died leaves of a hidden death that somebody died, and not when.
func (w *walker) died(m *node) {
	switch m.name {
	case "deceasedBoolean":
		m.other = parse(m.raw)
	case "deceasedDateTime":
		m.name, m.other = "deceasedBoolean", parse([]byte("true"))
	}
}

// withheld: a hidden modifier element may change the meaning of what is left of
// its object (R4 conformance-rules.html#isModifier). An object of one class
// hides as a whole.
func (w *walker) withheld() bool {
	return slices.ContainsFunc(w.hidden, func(n *node) bool {
		if n == nil {
			return true
		}
		_, one := uniform(n)
		return !one
	})
}

func derived(m *node) string {
	switch m.name {
	case "birthDate", "deceasedDateTime":
		if s := string(m.raw); m.kind == 0 && len(s) >= 6 && s[0] == '"' && (s[5] == '"' || s[5] == '-') && strings.Trim(s[1:5], "0123456789") == "" {
			return s[:5] + `"`
		}
	case "deceasedBoolean":
		if s := string(m.raw); s == "true" || s == "false" {
			return s
		}
	case "address":
		return places(m)
	}
	return ""
}

func places(m *node) string {
	var items []string
	for _, address := range m.kids {
		var parts []string
		for _, name := range []string{"state", "country"} {
			if v := address.member(name); v != nil && strings.HasPrefix(string(v.raw), `"`) {
				parts = append(parts, `"`+name+`":`+string(v.raw))
			}
		}
		if len(parts) > 0 {
			items = append(items, "{"+strings.Join(parts, ",")+"}")
		}
	}
	if len(items) == 0 {
		return ""
	}
	return "[" + strings.Join(items, ",") + "]"
}

func (w *walker) sees(classes []string) bool {
	return !slices.ContainsFunc(classes, func(c string) bool { return !w.mask[c] })
}
