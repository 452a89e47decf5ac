package trace

import (
	"encoding/hex"

	"go.opentelemetry.io/otel/attribute"
)

// Attribute is one allowed key with a bounded value.
type Attribute struct{ kv attribute.KeyValue }

// constant is a string that only a constant of the source converts to: no
// caller outside this package can name the type, so no variable fits.
type constant string

// Route is the template of a route, such as /fhir/Patient/{id}.
func Route(template constant) Attribute {
	return Attribute{attribute.String("http.route", string(template))}
}

// Status is the HTTP status code of the answer.
func Status(code int) Attribute { return Attribute{attribute.Int("http.response.status_code", code)} }

// Candidates is how many records the index gave.
func Candidates(n int) Attribute { return Attribute{attribute.Int("fieldseal.find.candidates", n)} }

// Matches is how many records passed the recheck.
func Matches(n int) Attribute { return Attribute{attribute.Int("fieldseal.find.matches", n)} }

// Opened is how many element classes were opened.
func Opened(n int) Attribute { return Attribute{attribute.Int("fieldseal.open.classes", n)} }

// Bytes is the size of a body.
func Bytes(n int) Attribute { return Attribute{attribute.Int("fieldseal.bytes", n)} }

// Revision is the revision of the policy that decided.
func Revision(n uint64) Attribute {
	return Attribute{attribute.Int64("fieldseal.decision.revision", int64(n))}
}

// Receipt is the sequence number of the audit event.
func Receipt(n uint64) Attribute {
	return Attribute{attribute.Int64("fieldseal.audit.receipt", int64(n))}
}

// Resource is the storage id of a resource, a keyed hash, cut to 8 bytes.
func Resource(id [16]byte) Attribute {
	return Attribute{attribute.String("fieldseal.resource", hex.EncodeToString(id[:8]))}
}

// Types are the resource types that may stand in a span.
type Types struct{ known map[string]Attribute }

const typeKey = "fieldseal.resource.type"

// NewTypes registers the names of resource types, which come from the
// definitions.
func NewTypes(names []string) *Types {
	t := &Types{make(map[string]Attribute, len(names))}
	for _, n := range names {
		t.known[n] = Attribute{attribute.String(typeKey, n)}
	}
	return t
}

// Of is the attribute of a registered type; any other name gives "other".
func (t *Types) Of(name string) Attribute {
	if a, ok := t.known[name]; ok {
		return a
	}
	return Attribute{attribute.String(typeKey, "other")}
}
