// Package fieldtest holds a null cipher: the comparison against which the
// cost of encryption is measured.
//
// Start with NewInsecureNull. It stores plaintext, so it runs inside `go test`
// only, and its format byte is unknown to package field. Nothing it writes is
// kept compatible.
package fieldtest

import (
	"encoding/binary"
	"encoding/json"
	"sync"
	"testing"

	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir"
)

// formatNull is no format that the product reads.
const formatNull = 0xF0

// InsecureNull has the methods of *field.Cipher and encrypts nothing.
type InsecureNull struct {
	table *field.Table
	// heads remembers what was decoded, so that decoding JSON does not pass for
	// the cost of a cipher that does nothing: string → field.Head.
	heads sync.Map
}

// NewInsecureNull panics outside of tests.
func NewInsecureNull(t *field.Table) *InsecureNull {
	if !testing.Testing() {
		panic("fieldtest: the null cipher exists for tests only")
	}
	return &InsecureNull{table: t}
}

// Seal stores head and resource as they are.
func (n *InsecureNull) Seal(dst []byte, b field.Binding, _ field.Keys, h *field.Head, r *fhir.Resource) ([]byte, error) {
	if r != nil {
		n.table.Survey(b, h, r)
	}
	head, err := json.Marshal(h)
	if err != nil {
		return dst, err
	}
	dst = append(binary.AppendUvarint(append(dst, formatNull), uint64(len(head))), head...)
	if r != nil {
		dst = r.AppendJSON(dst)
	}
	return dst, nil
}

// OpenHead reads the head.
func (n *InsecureNull) OpenHead(_ field.Binding, _ field.Keys, body []byte) (h field.Head, err error) {
	head, _, err := split(body)
	if err != nil {
		return h, err
	}
	if known, ok := n.heads.Load(string(head)); ok {
		return known.(field.Head), nil
	}
	if err := json.Unmarshal(head, &h); err != nil {
		return h, err
	}
	n.heads.Store(string(head), h)
	return h, nil
}

func split(body []byte) (head, doc []byte, err error) {
	if len(body) == 0 || body[0] != formatNull {
		return nil, nil, field.ErrFormat
	}
	size, n := binary.Uvarint(body[1:])
	if n <= 0 || size > uint64(len(body)-1-n) {
		return nil, nil, field.ErrCorrupt
	}
	return body[1+n:][:size], body[1+n+int(size):], nil
}

func document(body []byte) ([]byte, error) {
	_, doc, err := split(body)
	return doc, err
}

// AppendOpen appends the stored JSON.
func (n *InsecureNull) AppendOpen(dst []byte, _ field.Binding, _ field.Keys, _ *field.Head, body []byte) ([]byte, error) {
	doc, err := document(body)
	return append(dst, doc...), err
}

// AppendVisible appends what Open returns, as JSON.
func (n *InsecureNull) AppendVisible(dst []byte, b field.Binding, k field.Keys, h *field.Head, body []byte, visible field.ClassSet) ([]byte, error) {
	r, err := n.Open(b, k, h, body, visible)
	if err != nil || r == nil {
		return dst, err
	}
	return r.AppendJSON(dst), nil
}

// Open parses the stored JSON and drops what is hidden. It makes no limited
// stand-ins.
func (n *InsecureNull) Open(b field.Binding, _ field.Keys, h *field.Head, body []byte, visible field.ClassSet) (*fhir.Resource, error) {
	doc, err := document(body)
	if err != nil || h.Deleted {
		return nil, err
	}
	r, err := fhir.Parse(doc, fhir.DefaultLimits)
	if err != nil {
		return nil, err
	}
	if !visible.Contains(h.Present) {
		prune(n.table.Root(b.Type), r.Root(), visible, true)
	}
	return r, nil
}

func prune(c field.Cursor, n *fhir.Node, visible field.ClassSet, root bool) (empty bool) {
	for i := n.Len() - 1; i >= 0; i-- {
		child := n.At(i)
		if name := child.Name(); root && (name == "resourceType" || name == "id" || name == "meta") {
			continue
		}
		at := c.Child(n, child)
		class, needs, ok := at.Uniform(child)
		if ok && visible.Has(class) && visible.Contains(needs) {
			continue
		}
		if ok || prune(at, child, visible, false) {
			n.RemoveAt(i)
		}
	}
	return n.Len() == 0
}
