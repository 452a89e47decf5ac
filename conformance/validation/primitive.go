package validation

import (
	"bytes"
	"math"
	"strconv"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
	"github.com/fieldseal/fieldseal/fhir/narrative"
)

// literalRule is the JSON kind and lexical check of a primitive type.
type literalRule struct {
	kind  fhir.Kind
	valid func(s string) bool // of the decoded string, or the number literal
	max   int                 // bytes, 0 = no limit of its own
	any   bool                // every text without control characters passes
}

// maxStringBytes is R4's limit for strings (datatypes.html#string).
const maxStringBytes = 1 << 20

// literalRules are the primitives of R4 datatypes.html#primitive.
var literalRules = map[string]literalRule{
	"base64Binary": {kind: fhir.String, valid: validBase64},
	"boolean":      {kind: fhir.Bool},
	"canonical":    {kind: fhir.String, valid: validURI},
	"code":         {kind: fhir.String, valid: validCode},
	"date":         {kind: fhir.String, valid: validDate},
	"dateTime":     {kind: fhir.String, valid: validDateTime},
	"decimal":      {kind: fhir.Number, valid: func(string) bool { return true }}, // JSON's own grammar
	"id":           {kind: fhir.String, valid: fhir.ValidID},
	"instant":      {kind: fhir.String, valid: validInstant},
	"integer":      {kind: fhir.Number, valid: func(s string) bool { return validInteger(s, math.MinInt32) }},
	"markdown":     {kind: fhir.String, any: true, max: maxStringBytes},
	"oid":          {kind: fhir.String, valid: validOID},
	"positiveInt":  {kind: fhir.Number, valid: func(s string) bool { return validInteger(s, 1) }},
	"string":       {kind: fhir.String, any: true, max: maxStringBytes},
	"time":         {kind: fhir.String, valid: validTime},
	"unsignedInt":  {kind: fhir.Number, valid: func(s string) bool { return s[0] != '-' && validInteger(s, 0) }},
	"uri":          {kind: fhir.String, valid: validURI},
	"url":          {kind: fhir.String, valid: validURI},
	"uuid":         {kind: fhir.String, valid: validUUID},
	"xhtml":        {kind: fhir.String},
}

var kindNames = [...]string{"null", "a boolean", "a number", "a string", "an array", "an object"}

// primitive checks the value n of element e with primitive type t.
func (x *run) primitive(n *fhir.Node, e *definition.Element, t *definition.Type) {
	rule := &x.v.types[t.Index].literal
	if n.Kind() != rule.kind {
		x.fault(codeStructure, e.Path+" must be "+kindNames[rule.kind])
		return
	}
	raw := n.Raw()
	switch {
	case rule.kind == fhir.String && len(raw) <= 2:
		x.fault(codeValue, "a string must not be empty") // R4 json.html
	case rule.max > 0 && len(raw) > rule.max && len(n.Text()) > rule.max:
		x.fault(codeTooLong, "a string must not be longer than 1 MiB")
	case rule.kind == fhir.Bool:
	case rule.any:
		// The parser admits no raw control character, only escaped ones.
		if bytes.IndexByte(raw, '\\') >= 0 && hasControl(n.Text()) {
			x.fault(codeValue, e.Path+" contains control characters")
		}
	case rule.valid == nil:
		if fault := narrative.Check(n.Text()); fault != "" {
			x.fault(codeInvariant, fault)
		}
	case rule.kind == fhir.Number:
		if !rule.valid(string(raw)) {
			x.fault(codeValue, e.Path+" is not a valid "+t.Name)
		}
	default:
		x.text(n.Text(), rule, e, t)
	}
}

func (x *run) text(s string, rule *literalRule, e *definition.Element, t *definition.Type) {
	if !rule.valid(s) {
		x.fault(codeValue, e.Path+" is not a valid "+t.Name)
		return
	}
	if b := e.Binding; b != nil && b.Codes != nil && !b.Codes.HasCode(s) {
		x.fault(codeCodeInvalid, e.Path+" must be a code of "+b.ValueSet)
	}
	if s[0] == '#' {
		x.container.use(s[1:])
	}
}

// validInteger checks -?(0|[1-9][0-9]*) and the range of 32 bits.
func validInteger(s string, least int64) bool {
	digits := s
	if s != "" && s[0] == '-' {
		digits = s[1:]
	}
	if digits == "" || len(digits) > 10 || digits[0] == '0' && len(digits) > 1 {
		return false
	}
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return false
		}
	}
	v, err := strconv.ParseInt(s, 10, 64)
	return err == nil && v >= least && v <= math.MaxInt32
}
