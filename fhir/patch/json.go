package patch

import (
	"github.com/fieldseal/fieldseal/fhir"
)

// JSON is a parsed JSON Patch.
type JSON struct {
	ops   []jsonOp
	bytes int
}

type jsonOp struct {
	op    string
	path  pointer
	from  pointer
	value *fhir.Node
}

// ParseJSON reads a JSON Patch document (RFC 6902 §3, §4). The error is
// fhir.ErrTooLarge, a *fhir.SyntaxError or an *Error. The patch keeps b.
func ParseJSON(b []byte, lim fhir.Limits) (*JSON, error) {
	root, err := fhir.ParseValue(b, lim)
	if err != nil {
		return nil, err
	}
	if root.Kind() != fhir.Array {
		return nil, &Error{Operation: -1, Err: ErrMalformed, Detail: "a JSON Patch is an array of operations"}
	}
	if root.Len() > MaxOperations {
		return nil, tooMany()
	}
	bytes := lim.MaxBytes
	if bytes <= 0 {
		bytes = fhir.DefaultLimits.MaxBytes
	}
	p := &JSON{ops: make([]jsonOp, root.Len()), bytes: bytes}
	for i := range p.ops {
		if detail := p.ops[i].read(root.At(i)); detail != "" {
			return nil, &Error{Operation: i, Path: p.ops[i].path.String(), Err: ErrMalformed, Detail: detail}
		}
	}
	return p, nil
}

func tooMany() *Error {
	return &Error{Operation: -1, Err: ErrTooLarge, Detail: "it has too many operations"}
}

// read says what is wrong with the operation, or nothing.
func (o *jsonOp) read(n *fhir.Node) string {
	if n.Kind() != fhir.Object {
		return "an operation is an object"
	}
	path := n.Member("path")
	if path == nil || path.Kind() != fhir.String {
		return "path is missing or no string"
	}
	var ok bool
	if o.path, ok = parsePointer(path.Text()); !ok {
		return "path is no JSON Pointer"
	}
	o.value = n.Member("value")
	switch o.op = n.Member("op").Text(); o.op {
	case "add", "replace", "test":
		if o.value == nil {
			return "value is missing"
		}
	case "remove":
	case "move", "copy":
		from := n.Member("from")
		if from == nil || from.Kind() != fhir.String {
			return "from is missing or no string"
		}
		if o.from, ok = parsePointer(from.Text()); !ok {
			return "from is no JSON Pointer"
		}
	default:
		return "op is none of add, remove, replace, move, copy, test"
	}
	return ""
}

// Touches lists, for each path, the member names that its operation reads or
// changes, without the underscore of siblings; that is always known.
func (p *JSON) Touches() (names [][]string, known bool) {
	for i := range p.ops {
		names = append(names, p.ops[i].path.elements())
		if p.ops[i].from != nil {
			names = append(names, p.ops[i].from.elements())
		}
	}
	return names, true
}

// Apply changes root in place. After an error, which is an *Error, root is
// changed in part and must be thrown away.
func (p *JSON) Apply(root *fhir.Node) error {
	e := &effort{work: maxWork, bytes: p.bytes}
	for i := range p.ops {
		o := &p.ops[i]
		at, err := o.apply(root, e)
		if e.work < 0 || e.bytes < 0 {
			err = ErrTooLarge
		}
		if err != nil {
			return within(err, i, at.String())
		}
	}
	return nil
}

// apply returns the location and the reason of a failure.
func (o *jsonOp) apply(root *fhir.Node, e *effort) (pointer, error) {
	switch o.op {
	case "add":
		return o.path, add(root, o.path, o.value.Clone(), e)
	case "remove":
		_, err := remove(root, o.path, e)
		return o.path, err
	case "replace":
		target := o.path.find(root, e)
		if target == nil {
			return o.path, because(ErrTarget, "there is nothing to replace")
		}
		v := o.value.Clone()
		v.KeepName(target)
		*target = v
	case "test":
		target := o.path.find(root, e)
		if target == nil {
			return o.path, because(ErrTarget, "there is nothing to test")
		}
		if !equal(target, o.value, e) {
			return o.path, ErrTest
		}
	case "copy":
		source := o.from.find(root, e)
		if source == nil {
			return o.from, because(ErrTarget, "there is nothing to copy")
		}
		if !e.copied(source) {
			return o.from, ErrTooLarge
		}
		return o.path, add(root, o.path, source.Clone(), e)
	case "move":
		return o.move(root, e)
	}
	return o.path, nil
}

func (o *jsonOp) move(root *fhir.Node, e *effort) (pointer, error) {
	if o.path.within(o.from) { // RFC 6902 §4.4
		return o.path, because(ErrTarget, "a value cannot be moved into itself")
	}
	if o.path.equal(o.from) {
		if o.from.find(root, e) == nil {
			return o.from, because(ErrTarget, "there is nothing to move")
		}
		return o.path, nil
	}
	v, err := remove(root, o.from, e)
	if err != nil {
		return o.from, err
	}
	return o.path, add(root, o.path, v, e)
}

// add puts v at p (RFC 6902 §4.1): into an array, or as a member, in the place
// of one that is there.
func add(root *fhir.Node, p pointer, v fhir.Node, e *effort) error {
	if len(p) == 0 {
		*root = v.Named("")
		return nil
	}
	last := p[len(p)-1]
	parent := p[:len(p)-1].find(root, e)
	if parent == nil || !e.look(parent.Len()) {
		return ErrTarget
	}
	switch parent.Kind() {
	case fhir.Object:
		parent.Set(last, v)
		return nil
	case fhir.Array:
		i, ok := arrayIndex(last)
		if last == "-" {
			i, ok = parent.Len(), true
		}
		if ok && i <= parent.Len() {
			parent.Insert(i, v.Named(""))
			return nil
		}
	}
	return ErrTarget
}

// remove takes the value at p out and returns it.
func remove(root *fhir.Node, p pointer, e *effort) (fhir.Node, error) {
	target := p.find(root, e)
	if target == nil || len(p) == 0 {
		return fhir.Node{}, ErrTarget
	}
	v := *target
	parent := p[:len(p)-1].find(root, e)
	e.look(parent.Len())
	if parent.Kind() == fhir.Object {
		parent.Remove(p[len(p)-1])
	} else {
		i, _ := arrayIndex(p[len(p)-1])
		parent.RemoveAt(i)
	}
	return v, nil
}
