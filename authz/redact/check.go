package redact

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir"
)

// ErrHidden means that a body carries an element that its sender may not see:
// 403. ErrUnwritable means that a write changes an element that its author may
// not write: 403. ErrPartlyHidden means that an update changes an element of which the
// sender sees only a part: 422.
var (
	ErrHidden       = errors.New("element is hidden from the caller")
	ErrUnwritable   = errors.New("element is not among those that the caller may write")
	ErrPartlyHidden = errors.New("element is partly hidden from the caller and must be sent back unchanged")
)

// ElementError names the element that an error is about. It wraps one of
// the errors above and never holds a value.
type ElementError struct {
	Path string // Patient.contact[1].name
	Err  error
}

func (e *ElementError) Error() string { return fmt.Sprintf("%s: %v", e.Path, e.Err) }

// Unwrap returns the reason.
func (e *ElementError) Unwrap() error { return e.Err }

// checkAll refuses a resource that carries elements of other classes.
func (r *Redactor) checkAll(body *fhir.Resource, visible field.ClassSet, reason error) error {
	c, root := r.table.Root(body.Type()), body.Root()
	for i := range root.Len() {
		if err := r.checkTop(c, root, root.At(i), visible, reason); err != nil {
			return err
		}
	}
	return nil
}

// checkTop checks one member of the root.
func (r *Redactor) checkTop(c field.Cursor, root, m *fhir.Node, visible field.ClassSet, reason error) error {
	typ := root.Member("resourceType").Text()
	switch {
	case m.Name() == "resourceType" || m.Name() == "id" || m.Name() == "meta" && bookkeeping(m):
		return nil
	case r.isNarrative(typ, m.Name()):
		// It may tell anything, so that whoever cannot see it cannot write it.
		return &ElementError{typ + "." + m.Name(), reason}
	}
	k := check{visible: visible, path: []string{typ, "." + m.Name()}}
	if !k.node(c.Child(root, m), m) {
		return &ElementError{k.where(), reason}
	}
	return nil
}

func (r *Redactor) isNarrative(typ, member string) bool {
	t := r.reg.Type(typ)
	if t == nil {
		return false
	}
	_, mt := t.Lookup(strings.TrimPrefix(member, "_"))
	return mt != nil && mt.Name == "Narrative"
}

// check looks for the first hidden node and keeps its path.
type check struct {
	visible field.ClassSet
	path    []string
}

func (k *check) where() string { return strings.Join(k.path, "") }

func (k *check) node(c field.Cursor, n *fhir.Node) bool {
	if class, needs, ok := c.Uniform(n); ok {
		return k.visible.Has(class) && k.visible.Contains(needs)
	}
	for i := range n.Len() {
		child := n.At(i)
		step := "[" + strconv.Itoa(i) + "]"
		if n.Kind() == fhir.Object {
			step = "." + child.Name()
		}
		k.path = append(k.path, step)
		if !k.node(c.Child(n, child), child) {
			return false
		}
		k.path = k.path[:len(k.path)-1]
	}
	return true
}
