// Package model builds the resources that the server itself authors. It is
// the only importer of the generated FHIR structs.
//
// Start at OperationOutcome and BundleWriter; CapabilityStatement and
// AuditEvent are encoded by Marshal from the structs that this package names.
//
// Security notes: the generated structs must never hold what a client sent.
// They drop extensions of primitives and contained resources, and a required
// code that is missing becomes the first code of its value set, which would be
// fabricated clinical data. So nothing here decodes into them, and entries of
// a Bundle are raw bytes. Whoever fills a struct must set every required code,
// because its zero value is a valid code.
//
// Kept compatible: the output has no HTML escaping.
package model

import (
	"bytes"
	"encoding/json"
	"fmt"

	samply "github.com/samply/golang-fhir-models/fhir-models/fhir"

	"github.com/fieldseal/fieldseal/fhir"
)

// Authored are the resources that Marshal encodes.
type Authored interface {
	samply.AuditEvent | samply.CapabilityStatement | samply.OperationOutcome
}

// Marshal encodes a resource without HTML escaping and with resourceType in
// front.
func Marshal[R Authored](r R) ([]byte, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encoding %T: %w", r, err)
	}
	res, err := fhir.Parse(unescapeHTML(b), fhir.DefaultLimits)
	if err != nil {
		return nil, fmt.Errorf("encoding %T: %w", r, err)
	}
	root := res.Root()
	root.Remove("resourceType")
	root.Insert(0, fhir.NewString(res.Type()).Named("resourceType"))
	return res.AppendJSON(nil), nil
}

// unescapeHTML undoes the escapes that encoding/json adds inside the
// MarshalJSON methods of the structs, where no option reaches. An escaped
// backslash before "u003c" is skipped as a pair, so text that spells such an
// escape stays.
func unescapeHTML(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] != '\\' || i+1 >= len(b) {
			out = append(out, b[i])
			continue
		}
		switch {
		case bytes.HasPrefix(b[i:], []byte(`\u003c`)):
			out, i = append(out, '<'), i+5
		case bytes.HasPrefix(b[i:], []byte(`\u003e`)):
			out, i = append(out, '>'), i+5
		case bytes.HasPrefix(b[i:], []byte(`\u0026`)):
			out, i = append(out, '&'), i+5
		default:
			out, i = append(out, b[i], b[i+1]), i+1
		}
	}
	return out
}
