package fhirpath

import (
	"context"
	"time"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
)

// Context is what an expression is evaluated with. The zero value is an empty
// context.
type Context struct {
	// Focus is %context and the first $this, nil for none.
	Focus Item
	// Resource is %resource, by default the resource that contains Focus;
	// RootResource is %rootResource, by default its container
	// (R4 fhirpath.html#variables).
	Resource, RootResource *Element
	// Variables are further environment variables, without the %.
	Variables map[string]Collection

	Resolver    Resolver
	Terminology Terminology
	Profiles    Profiles
	// Trace receives what trace() logs, nil to drop it.
	Trace func(name string, items Collection)
	// Now is what now(), today() and timeOfDay() answer, by default the time at
	// the start of the evaluation.
	Now time.Time
	// Limits bound the evaluation; a zero field is that of DefaultLimits.
	Limits Limits
}

// Resolver finds what a reference leads to, nil when it does not know it.
type Resolver interface {
	Resolve(ctx context.Context, reference string) (*fhir.Resource, error)
}

// Terminology answers for value sets and code systems. The system of a code
// that stands alone is empty.
type Terminology interface {
	// MemberOf reports whether the value set, by its canonical URL, has the
	// code. An unknown value set is an error.
	MemberOf(ctx context.Context, valueSet, system, code string) (bool, error)
	// Subsumes reports whether ancestor is descendant or above it.
	Subsumes(ctx context.Context, system, ancestor, descendant string) (bool, error)
}

// Profiles answers for StructureDefinitions.
type Profiles interface {
	// Conforms reports whether the element conforms to the structure. An unknown
	// one is an error.
	Conforms(ctx context.Context, structure string, e *Element) (bool, error)
	// Slice reports whether the element is in the slice of the structure. An
	// unknown structure or slice is an error.
	Slice(ctx context.Context, structure, name string, e *Element) (bool, error)
}

// Limits bound what one evaluation may cost.
type Limits struct {
	Steps int // items visited, comparisons, bytes/64 of text made
	Items int // in one collection
	Bytes int // of one String
}

// DefaultLimits let the invariants of a Bundle of 8 MB pass, and end a hostile
// expression within about a second.
var DefaultLimits = Limits{Steps: 2_000_000, Items: 1_000_000, Bytes: 16 << 20}

func (l Limits) orDefault() Limits {
	if l.Steps <= 0 {
		l.Steps = DefaultLimits.Steps
	}
	if l.Items <= 0 {
		l.Items = DefaultLimits.Items
	}
	if l.Bytes <= 0 {
		l.Bytes = DefaultLimits.Bytes
	}
	return l
}

// evaluation is the state of one run.
type evaluation struct {
	ctx      context.Context
	reg      *definition.Registry
	in       Context
	limits   Limits
	steps    int
	nextTick int
	clock    time.Time
	patterns map[string]*pattern
	entries  map[*fhir.Node]map[string]*Element // of Bundles, by fullUrl
}

func newEvaluation(ctx context.Context, reg *definition.Registry, c Context) *evaluation {
	l := c.Limits.orDefault()
	return &evaluation{ctx: ctx, reg: reg, in: c, limits: l, nextTick: min(stepsPerTick, l.Steps+1)}
}

// stepsPerTick is how often the deadline is looked at: some ten microseconds.
const stepsPerTick = 1024

// spend counts steps; it must be called before work that a hostile expression
// can multiply.
func (ev *evaluation) spend(pos, n int) error {
	ev.steps += n
	if ev.steps < ev.nextTick {
		return nil
	}
	if ev.steps > ev.limits.Steps {
		return fail(ErrLimit, pos, "more than %d steps", ev.limits.Steps)
	}
	ev.nextTick = min(ev.steps+stepsPerTick, ev.limits.Steps+1)
	return ev.ctx.Err()
}

// hold checks the size of a collection that is being built.
func (ev *evaluation) hold(pos int, c Collection) error {
	if len(c) > ev.limits.Items {
		return fail(ErrLimit, pos, "more than %d items", ev.limits.Items)
	}
	return nil
}

// text checks and charges for a string that is about to be made.
func (ev *evaluation) text(pos, bytes int) error {
	if bytes > ev.limits.Bytes {
		return fail(ErrLimit, pos, "a text of more than %d bytes", ev.limits.Bytes)
	}
	return ev.spend(pos, bytes/64)
}

func (ev *evaluation) now() time.Time {
	if ev.clock.IsZero() {
		ev.clock = ev.in.Now
		if ev.clock.IsZero() {
			ev.clock = time.Now()
		}
	}
	return ev.clock
}

// scope is what $this, $index, $total and defined variables are at a place.
type scope struct {
	focus Collection
	index int // -1 outside of an iteration
	total *Collection
	vars  *definedVariable
}

// definedVariable is a variable of defineVariable and those before it.
type definedVariable struct {
	name  string
	value Collection
	prev  *definedVariable
}

func (s *scope) find(name string) *definedVariable {
	for b := s.vars; b != nil; b = b.prev {
		if b.name == name {
			return b
		}
	}
	return nil
}

// fork is the scope of an operand: what it defines is not seen beside it.
func (s *scope) fork() *scope { c := *s; return &c }

// each is the scope of an expression that is evaluated for one item.
func (s *scope) each(item Item, index int) *scope {
	c := *s
	c.focus, c.index = Collection{item}, index
	return &c
}
