package interaction

import (
	"github.com/fieldseal/fieldseal/authz/label"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir/model"
)

// shownLabels are the labels of a version as far as the caller sees them: who
// may not see meta.security does not learn it from the Bundle around it.
func (s *Service) shownLabels(head field.Head, resourceType string, visible field.ClassSet) []field.Label {
	if !visible.Contains(s.Classes.ElementClasses(resourceType + ".meta.security.code")) {
		return nil
	}
	return head.Security
}

// mark labels a Bundle with the highest confidentiality of its entries and every
// sensitivity category among them.
func (s *Service) mark(w *model.BundleWriter, lists ...[]hit) []field.Label {
	var m label.Mark
	for _, hits := range lists {
		for _, h := range hits {
			m.Add(s.shownLabels(h.stored.Head, h.stored.Record.Key.Type, h.mask))
		}
	}
	inscribe(w, m.Labels())
	return m.Labels()
}

func inscribe(w *model.BundleWriter, labels []field.Label) {
	for _, l := range labels {
		w.Label(l.System, l.Code)
	}
}
