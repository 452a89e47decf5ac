package interaction

import (
	"context"
	"errors"

	"github.com/fieldseal/fieldseal/conformance/terminology"
	"github.com/fieldseal/fieldseal/fhir/search"
)

// Terminology is what searches ask of code systems and value sets:
// *terminology.Service.
type Terminology interface {
	search.Terminology
	Lister
}

// Lister lists concepts, at most limit of them.
type Lister interface {
	Enumerate(ctx context.Context, valueSet string, limit int) ([]terminology.Concept, error)
	Descendants(ctx context.Context, system, code string, limit int) ([]terminology.Concept, error)
	Ancestors(ctx context.Context, system, code string) ([]terminology.Concept, error)
}

// maxCodes bounds the codes that one :in, :above or :below is planned with.
// More are decided one candidate at a time.
const maxCodes = 500

// subsumption is a Terminology to which a code that its system does not have is
// neither above nor below anything: one mistyped code in one resource must not
// fail a search.
type subsumption struct{ search.Terminology }

func (t subsumption) Subsumes(ctx context.Context, system, ancestor, descendant string) (bool, error) {
	found, err := t.Terminology.Subsumes(ctx, system, ancestor, descendant)
	if errors.Is(err, terminology.ErrNotFound) {
		return false, nil
	}
	return found, err
}

// list finds the codes that a condition on codes may match, when the
// terminology can list them all. The plan asks for them; what cannot be listed
// is left to the recheck, which also knows what to say about it.
func (x *finder) list(ctx context.Context, c *search.Condition) {
	switch c.Modifier {
	case search.In, search.Above, search.Below:
	default:
		return
	}
	if c.Parameter.Kind != search.TokenKind {
		return
	}
	var codes []string
	for i := range c.Operands {
		found, ok := x.listed(ctx, c.Modifier, &c.Operands[i])
		if codes = append(codes, found...); !ok || len(codes) > maxCodes {
			return
		}
	}
	x.codes[c] = codes
}

func (x *finder) listed(ctx context.Context, m search.Modifier, o *search.Operand) (codes []string, ok bool) {
	var concepts []terminology.Concept
	var err error
	switch {
	case m == search.In:
		concepts, err = x.Terminology.Enumerate(ctx, o.URL, maxCodes)
	case o.Form != search.Exact: // of any system
		return nil, false
	case o.System == "":
	case m == search.Below:
		concepts, err = x.Terminology.Descendants(ctx, o.System, o.Code, maxCodes)
	default:
		concepts, err = x.Terminology.Ancestors(ctx, o.System, o.Code)
	}
	if err != nil && (m == search.In || !errors.Is(err, terminology.ErrNotFound)) {
		return nil, false
	}
	if m != search.In {
		codes = append(codes, o.Code)
	}
	for _, k := range concepts {
		codes = append(codes, k.Code)
	}
	return codes, true
}

// undecided is the answer to a question about codes that the terminology cannot
// decide: an answer without it could be wrong.
func undecided(err *search.UndecidedError) *Failure {
	kind, code, what := Malformed, "not-supported", "the codes that it asks about are not held by this server"
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return failure(err.Err)
	case errors.Is(err, terminology.ErrNotFound):
		code, what = "not-found", "the value set or code system is not known here"
	case errors.Is(err, terminology.ErrInvalid):
		kind, code, what = Unprocessable, "processing", "the value set or code system is not well defined"
	case errors.Is(err, terminology.ErrTooCostly), errors.Is(err, terminology.ErrTooMany):
		kind, code, what = Unprocessable, "too-costly", "the value set is too large; name a smaller one"
	case !errors.Is(err, terminology.ErrNotSupported):
		return failure(err.Err)
	}
	f := fail(kind, err, "%s: %s", err.Parameter, what)
	f.Issues[0].Code = code
	f.Issues[0].Expression = parameterPath(err.Parameter)
	return f
}

// parameterPath is how an issue names a parameter (R4
// operationoutcome.html#OperationOutcome.issue.expression).
func parameterPath(name string) []string {
	if name == "" || name[0] == '(' { // withheld
		return nil
	}
	return []string{"http." + name}
}
