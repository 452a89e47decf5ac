package search

import "github.com/fieldseal/fieldseal/fhir"

// reader reads the values of one element; it returns false when the visitor
// stopped.
type reader func(x *extraction, n *fhir.Node, l *leaf) bool

// extraction is the state of one run over one resource. It owns the Value that
// the visitor sees.
type extraction struct {
	c     *Catalog
	root  *fhir.Node
	v     Value
	visit func(*Value) bool
	texts []string // backing of Value.Texts
	// shared are the parts of composites that stand at the resource: they are
	// the same for every base element.
	shared map[*leaf][]Value
}

// Extract visits the values of a parameter until visit returns false, in
// document order for each alternative of the expression. Values are as the
// client wrote them: nothing is folded. The Value is reused; a copy of the
// struct may be kept, for its slices are not.
func (c *Catalog) Extract(p *Parameter, r *fhir.Resource, visit func(*Value) bool) {
	x := extraction{c: c, root: r.Root(), visit: visit}
	x.run(p)
}

// ExtractAll visits what Extract finds for every parameter of the resource's
// type, in one walk over the resource, hence in document order. The Value is
// reused, see Extract.
func (c *Catalog) ExtractAll(r *fhir.Resource, visit func(*Parameter, *Value)) {
	t := c.types[r.Type()]
	if t == nil {
		return
	}
	x := extraction{c: c, root: r.Root()}
	var p *Parameter
	x.visit = func(v *Value) bool {
		visit(p, v)
		return true
	}
	for _, p = range t.tests {
		x.run(p)
	}
	x.descend(t.walks, r.Root(), &p)
}

func (x *extraction) run(p *Parameter) {
	if t := p.program.test; t != nil {
		x.test(t, p)
		return
	}
	for _, l := range p.program.leaves {
		if l.reader == nil {
			continue
		}
		if !walk(l.steps, x.root, func(n *fhir.Node) bool { return l.reader(x, n, l) }) {
			return
		}
	}
}

// specialValues is the implied system of booleans (R4 search.html#token).
const specialValues = "http://terminology.hl7.org/CodeSystem/special-values"

// test emits the answer of a boolean expression, which is a token.
func (x *extraction) test(t *condition, p *Parameter) {
	if holds, known := t.eval(x.root); known {
		code := "false"
		if holds {
			code = "true"
		}
		x.v = Value{Kind: TokenKind, Classes: p.needs[baseNeed], System: specialValues, ImpliedSystem: true, Code: code}
		x.visit(&x.v)
		x.v = Value{}
	}
}

// emit shows the value that was prepared.
func (x *extraction) emit(k Kind, l *leaf) bool {
	x.v.Kind, x.v.Classes = k, l.classes
	more := x.visit(&x.v)
	x.v = Value{}
	return more
}

// text collects what :text looks at. The slice of one value is never written
// again.
func (x *extraction) text(values ...string) []string {
	start := len(x.texts)
	for _, s := range values {
		if s != "" {
			x.texts = append(x.texts, s)
		}
	}
	if start == len(x.texts) {
		return nil
	}
	return x.texts[start:len(x.texts):len(x.texts)]
}

// trie holds the walks of all parameters of one type, shared by their plain
// beginnings.
type trie struct {
	children map[string]*trie
	hits     []hit
}

// hit is a parameter whose walk leaves the trie, with the steps that remain.
type hit struct {
	parameter *Parameter
	leaf      *leaf
	rest      []step
}

func (t *trie) add(p *Parameter, l *leaf) {
	if l.reader == nil {
		return
	}
	rest := l.steps
	for len(rest) > 0 && rest[0].kind == member {
		child := t.children[rest[0].name]
		if child == nil {
			if t.children == nil {
				t.children = map[string]*trie{}
			}
			child = &trie{}
			t.children[rest[0].name] = child
		}
		t, rest = child, rest[1:]
	}
	t.hits = append(t.hits, hit{p, l, rest})
}

// descend visits n and what lies below it as far as the trie goes. p tells the
// visitor whose value it sees.
func (x *extraction) descend(t *trie, n *fhir.Node, p **Parameter) {
	switch n.Kind() {
	case fhir.Null:
		return
	case fhir.Array:
		for i := range n.Len() {
			x.descend(t, n.At(i), p)
		}
		return
	}
	for i := range t.hits {
		h := &t.hits[i]
		*p = h.parameter
		if len(h.rest) == 0 {
			h.leaf.reader(x, n, h.leaf)
			continue
		}
		walk(h.rest, n, func(n *fhir.Node) bool { return h.leaf.reader(x, n, h.leaf) })
	}
	if len(t.children) == 0 || n.Kind() != fhir.Object {
		return
	}
	for i := range n.Len() {
		m := n.At(i)
		if child := t.children[m.Name()]; child != nil {
			x.descend(child, m, p)
		}
	}
}
