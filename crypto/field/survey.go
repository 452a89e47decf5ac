package field

import "github.com/fieldseal/fieldseal/fhir"

// Survey fills h.Present and h.Modifiers as Seal would, without sealing.
func (t *Table) Survey(b Binding, h *Head, r *fhir.Resource) {
	p := plan{t: t}
	p.split(h, b, r.Root())
	h.Present, h.Modifiers = 0, p.modifiers
	for i := range p.entries {
		h.Present |= Set(p.entries[i].class)
	}
}
