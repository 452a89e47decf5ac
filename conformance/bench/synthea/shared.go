package synthea

import "github.com/fieldseal/fieldseal/fhir"

// isShared tells what belongs to the hospital from what belongs to a person.
func (e *entry) isShared() bool {
	switch e.resource.Type() {
	case "Organization", "Practitioner", "Location":
		return true
	}
	return e.common
}

// shared is what everybody shares: one resource for each identifier, however
// many bundles carry it.
type shared struct {
	draw draw
	list []Resource
	// byCondition leads from "Type?identifier=system|value", which is how the
	// newer bundles refer, to the id.
	byCondition map[string]target
}

func newShared(seed uint64) shared {
	return shared{draw: draw{seed: seed, of: "shared"}, byCondition: map[string]target{}}
}

// condition names the entry by its first identifier, else by its uuid.
func (e *entry) condition() string {
	if ids := e.resource.Root().Member("identifier"); ids != nil && ids.Kind() == fhir.Array && ids.Len() > 0 {
		return e.resource.Type() + "?identifier=" + ids.At(0).Member("system").Text() + "|" + ids.At(0).Member("value").Text()
	}
	return e.resource.Type() + "/" + e.id
}

func (s *shared) id(e *entry) string { return s.draw.uuid(e.condition()) }

// collect adds the shared resources of a bundle that are not known yet. They
// keep their content.
func (s *shared) collect(b *bundle) {
	for i := range b.entries {
		e := &b.entries[i]
		if !e.isShared() {
			continue
		}
		condition := e.condition()
		if _, known := s.byCondition[condition]; known {
			continue
		}
		t := target{e.resource.Type(), s.id(e)}
		s.byCondition[condition] = t
		e.resource.SetID(t.id)
		s.list = append(s.list, Resource{t.typ, t.id, e.resource.AppendJSON(nil)})
	}
}
