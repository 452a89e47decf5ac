package redact

import (
	"strconv"

	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir"
)

// CheckChange refuses a new version that differs from the one before, nil for a
// new resource, in an element of a class that its author may not write. What
// the server sets in meta is no change. A narrative may tell anything, so that
// only who may write every class writes it. The error is an *ElementError with
// ErrUnwritable.
func (r *Redactor) CheckChange(before, after *fhir.Resource, writable field.ClassSet) error {
	if !masked(writable) {
		return nil
	}
	if before == nil {
		return r.checkAll(after, writable, ErrUnwritable)
	}
	was, is := bare(before).Root(), bare(after).Root()
	cw, ci := r.table.Root(before.Type()), r.table.Root(after.Type())
	d := difference{check{visible: writable, path: []string{after.Type()}}}
	for _, name := range memberNames(was, is) {
		a, b := was.Member(name), is.Member(name)
		if a != nil && b != nil && equal(a, b) {
			continue
		}
		if r.isNarrative(after.Type(), name) || !d.step("."+name, func() bool { return d.member(cw, ci, was, is, a, b) }) {
			if len(d.path) == 1 {
				d.path = append(d.path, "."+name)
			}
			return &ElementError{d.where(), ErrUnwritable}
		}
	}
	return nil
}

// difference looks for the first changed node that may not be written and keeps
// its path.
type difference struct{ check }

// step goes down one step of the path and, when all is well below, up again.
func (d *difference) step(name string, below func() bool) bool {
	d.path = append(d.path, name)
	if !below() {
		return false
	}
	d.path = d.path[:len(d.path)-1]
	return true
}

// member compares one child of two nodes; nil is one that is not there.
func (d *difference) member(cw, ci field.Cursor, was, is, a, b *fhir.Node) bool {
	switch {
	case a == nil:
		return d.node(ci.Child(is, b), b)
	case b == nil:
		return d.node(cw.Child(was, a), a)
	case equal(a, b):
		return true
	}
	return d.nodes(cw.Child(was, a), ci.Child(is, b), a, b)
}

// nodes compares two different nodes.
func (d *difference) nodes(cw, ci field.Cursor, a, b *fhir.Node) bool {
	_, _, plain := cw.Uniform(a)
	_, _, uniform := ci.Uniform(b)
	switch {
	case plain && uniform || a.Kind() != b.Kind():
		return d.node(cw, a) && d.node(ci, b)
	case a.Kind() == fhir.Object:
		for _, name := range memberNames(a, b) {
			if !d.step("."+name, func() bool { return d.member(cw, ci, a, b, a.Member(name), b.Member(name)) }) {
				return false
			}
		}
		return true
	}
	for i := range max(a.Len(), b.Len()) {
		if !d.step("["+strconv.Itoa(i)+"]", func() bool { return d.member(cw, ci, a, b, at(a, i), at(b, i)) }) {
			return false
		}
	}
	return true
}

func at(n *fhir.Node, i int) *fhir.Node {
	if i < n.Len() {
		return n.At(i)
	}
	return nil
}

// memberNames are the names of the members of two objects, each once.
func memberNames(a, b *fhir.Node) (names []string) {
	for i := range a.Len() {
		names = append(names, a.At(i).Name())
	}
	for i := range b.Len() {
		if a.Member(b.At(i).Name()) == nil {
			names = append(names, b.At(i).Name())
		}
	}
	return names
}
