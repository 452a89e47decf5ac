package redact

import (
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir"
)

// Searched is what a search reads of a resource that was opened under a mask:
// the resource without what stands in for hidden elements. It is the resource
// itself when nothing does.
//
// The index selects by the elements themselves. A stand-in that matched what was
// selected by its source would tell of it: of two patients who show the same year
// of birth, "before March" would find the one who was born in January. That
// somebody died, which shows with the year, and an answer that stands in for
// itself are searched: the index knows no more of them.
func (r *Redactor) Searched(res *fhir.Resource, visible field.ClassSet) *fhir.Resource {
	if !masked(visible) || !visible.Has(field.Limited) {
		return res
	}
	c, root := r.table.Root(res.Type()), res.Root()
	out, copied := res, false
	for i := range root.Len() {
		m := root.At(i)
		_, source, _, stands := c.Child(root, m).StandIn(m)
		if !stands || visible.Has(source) {
			continue
		}
		if m.Name() == "deceasedBoolean" {
			continue
		}
		if !copied {
			out, copied = res.Clone(), true
		}
		if out.Root().Remove(m.Name()); m.Name() == "deceasedDateTime" {
			died, _ := fhir.ParseValue([]byte("true"), fhir.DefaultLimits) // a literal of JSON
			out.Root().Append(died.Named("deceasedBoolean"))
		}
	}
	return out
}
