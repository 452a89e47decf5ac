package search

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/fieldseal/fieldseal/fhir"
)

// Token is one alternative of a Criterion.
type Token struct {
	Form   Form
	System string
	Value  string
}

// String says the form only: a token is patient data.
func (t Token) String() string { return fmt.Sprintf("token(form %d)", t.Form) }

// Format keeps every verb from printing the fields.
func (t Token) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(t.String())) }

// Criterion is one condition: any of its tokens.
type Criterion struct {
	Parameter string
	Tokens    []Token
}

// Query is a parsed search: all of its criteria.
type Query struct {
	Type     string
	Criteria []Criterion
	// Count is the page size that the client asked for, -1 when it did not.
	Count int
}

// Parse reads the query part of a URL for one type. Repeated parameters are
// conditions that must all hold, commas separate alternatives
// (R4 search.html#combining). _format and _pretty concern the answer and are
// skipped.
func (ps *Parameters) Parse(resourceType, rawQuery string) (Query, error) {
	q := Query{Type: resourceType, Count: -1}
	if !ps.reg.IsResource(resourceType) {
		return Query{}, &ParameterError{Reason: "unknown resource type", Err: ErrMalformed}
	}
	if len(rawQuery) > MaxQueryBytes {
		return Query{}, &ParameterError{Reason: fmt.Sprintf("query is longer than %d bytes", MaxQueryBytes), Err: ErrMalformed}
	}
	for pair := range strings.SplitSeq(rawQuery, "&") {
		if pair == "" {
			continue
		}
		name, value, err := unescapePair(pair)
		if err == nil {
			err = ps.add(&q, name, value)
		}
		if err != nil {
			return Query{}, err
		}
		if q.values() > MaxValues {
			return Query{}, &ParameterError{Reason: fmt.Sprintf("more than %d values", MaxValues), Err: ErrMalformed}
		}
	}
	return q, nil
}

func (q *Query) values() int {
	n := 0
	for _, c := range q.Criteria {
		n += len(c.Tokens)
	}
	return n
}

// ParseCriteria reads the criteria of a conditional interaction (If-None-Exist,
// a conditional reference): as Parse, but at least one condition and nothing
// that only shapes an answer.
func (ps *Parameters) ParseCriteria(resourceType, rawQuery string) (Query, error) {
	q, err := ps.Parse(resourceType, rawQuery)
	if err != nil {
		return Query{}, err
	}
	if q.Count >= 0 {
		return Query{}, &ParameterError{Parameter: "_count", Reason: "has no meaning in a condition", Err: ErrMalformed}
	}
	if len(q.Criteria) == 0 {
		return Query{}, &ParameterError{Reason: "a condition names at least one parameter", Err: ErrMalformed}
	}
	return q, nil
}

func (ps *Parameters) add(q *Query, name, value string) error {
	code, modifier, modified := strings.Cut(name, ":")
	code, _, chained := strings.Cut(code, ".")
	known := code == ID || ps.find(q.Type, code) != nil
	switch {
	case name == "_format" || name == "_pretty":
		return nil
	case name == "_count":
		return q.count(value)
	case !known && !ps.defined(q.Type, code):
		return &ParameterError{Parameter: printable(name), Reason: "for " + q.Type, Err: ErrUnknownParameter}
	case !known || chained:
		return &ParameterError{Parameter: printable(name), Reason: "for " + q.Type, Err: ErrNotOffered}
	case modified:
		return &ParameterError{Parameter: printable(name), Reason: "modifier " + printable(modifier), Err: ErrNotOffered}
	}
	tokens, err := parseTokens(code, value)
	if err != nil {
		return err
	}
	q.Criteria = append(q.Criteria, Criterion{code, tokens})
	return nil
}

// defined reports whether R4 knows the parameter for the type, result
// parameters (R4 search.html#return) and _has among it.
func (ps *Parameters) defined(resourceType, code string) bool {
	switch code {
	case "_sort", "_include", "_revinclude", "_summary", "_total", "_elements", "_contained", "_containedType",
		"_has", "_list", "_filter", "_query", "_text", "_content", "_type":
		return true
	}
	return ps.reg.SearchParameter(resourceType, code) != nil
}

func (q *Query) count(value string) error {
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 {
		return &ParameterError{Parameter: "_count", Reason: "want a number from 0", Err: ErrMalformed}
	}
	q.Count = min(n, MaxCount)
	return nil
}

// parseTokens reads the alternatives of one parameter.
func parseTokens(code, value string) ([]Token, error) {
	bad := func(reason string) ([]Token, error) {
		return nil, &ParameterError{Parameter: code, Reason: reason, Err: ErrMalformed}
	}
	if len(value) > MaxValueBytes {
		return bad(fmt.Sprintf("value is longer than %d bytes", MaxValueBytes))
	}
	var tokens []Token
	for _, alternative := range split(value, ',') {
		parts := split(alternative, '|')
		if len(parts) > 2 {
			return bad(`more than one |; write \| for one inside a value`)
		}
		for i := range parts {
			var ok bool
			if parts[i], ok = unescape(parts[i]); !ok {
				return bad(`\ may only stand before , | $ and \`)
			}
		}
		t, reason := token(code, parts)
		if reason != "" {
			return bad(reason)
		}
		tokens = append(tokens, t)
	}
	return tokens, nil
}

// token builds one alternative from its unescaped parts.
func token(code string, parts []string) (Token, string) {
	if code == ID {
		if len(parts) != 1 || !fhir.ValidID(parts[0]) {
			return Token{}, "not a logical id"
		}
		return Token{Form: AnySystem, Value: parts[0]}, ""
	}
	switch {
	case len(parts) == 1 && parts[0] != "":
		return Token{Form: AnySystem, Value: parts[0]}, ""
	case len(parts) == 1 || parts[0] == "" && parts[1] == "":
		return Token{}, "empty value"
	case parts[1] == "":
		return Token{Form: AnyValue, System: parts[0]}, ""
	}
	return Token{Form: Exact, System: parts[0], Value: parts[1]}, ""
}
