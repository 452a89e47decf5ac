package trace

import (
	"encoding/hex"

	"go.opentelemetry.io/otel/attribute"
)

// Attribute is one allowed key with a bounded value.
type Attribute struct{ kv attribute.KeyValue }

// Candidates is how many records the index gave.
func Candidates(n int) Attribute { return Attribute{attribute.Int("fieldseal.find.candidates", n)} }

// Matches is how many records passed the recheck.
func Matches(n int) Attribute { return Attribute{attribute.Int("fieldseal.find.matches", n)} }

// Opened is how many element classes were opened.
func Opened(n int) Attribute { return Attribute{attribute.Int("fieldseal.open.classes", n)} }

// Bytes is the size of a body.
func Bytes(n int) Attribute { return Attribute{attribute.Int("fieldseal.bytes", n)} }

// Resource is the storage id of a resource, a keyed hash, cut to 8 bytes.
func Resource(id [16]byte) Attribute {
	return Attribute{attribute.String("fieldseal.resource", hex.EncodeToString(id[:8]))}
}

// Registered are the values that a name-like attribute may have. They are
// registered from definitions and tables of the server, never from a request.
type Registered struct {
	known map[string]Attribute
	other Attribute
}

// NewTypes registers the names of resource types, which come from the
// definitions.
func NewTypes(names []string) *Registered { return register("fieldseal.resource.type", names) }

// NewRoutes registers the templates of the routing table, such as
// /fhir/:type/:id.
func NewRoutes(templates []string) *Registered { return register("http.route", templates) }

func register(key attribute.Key, names []string) *Registered {
	r := &Registered{known: make(map[string]Attribute, len(names)), other: Attribute{key.String("other")}}
	for _, n := range names {
		r.known[n] = Attribute{key.String(n)}
	}
	return r
}

// Of is the attribute of a registered name; any other name gives "other".
func (r *Registered) Of(name string) Attribute {
	if a, ok := r.known[name]; ok {
		return a
	}
	return r.other
}
