package fhirpath

import "maps"

// function is an entry of the table of functions.
type function struct {
	min, max int // number of arguments
	types    bool
	// each tells that the arguments are expressions over each item of the input
	// (N1 §5), so that $this is the item.
	each bool
	// input is what the items must be, for the static check.
	input inputKind
	// ordered functions have no meaning on a collection without order.
	ordered bool
	// returns is the static type of the result.
	returns resultKind
	eval    func(in *invocation, c Collection) (Collection, error)
}

// inputKind says which items a function takes.
type inputKind uint8

const (
	anyInput inputKind = iota
	textInput
	numberInput
)

// resultKind says of which type a result is.
type resultKind uint8

const (
	ofAny    resultKind = iota // unknown
	ofInput                    // the types of the input
	ofResult                   // those of the first argument
	ofSystem                   // a System value without children
)

// invocation is one call during an evaluation.
type invocation struct {
	ev *evaluation
	sc *scope
	*call
}

// arg evaluates an argument in the focus of the caller (N1 §5); nil when it is
// not given.
func (in *invocation) arg(i int) (Collection, error) {
	if i >= len(in.args) {
		return nil, nil
	}
	return in.args[i].eval(in.ev, in.sc.fork(), in.sc.focus)
}

// argFor evaluates an argument for one item.
func (in *invocation) argFor(i int, item Item, index int) (Collection, error) {
	if err := in.ev.spend(in.pos, 1); err != nil {
		return nil, err
	}
	sc := in.sc.each(item, index)
	return in.args[i].eval(in.ev, sc, sc.focus)
}

// holds evaluates a criterion for one item.
func (in *invocation) holds(i int, item Item, index int) (bool, error) {
	c, err := in.argFor(i, item, index)
	if err != nil {
		return false, err
	}
	v, ok, err := boolean(c, in.args[i].at())
	return v && ok, err
}

func (in *invocation) textArg(i int) (string, bool, error) {
	c, err := in.arg(i)
	if err != nil {
		return "", false, err
	}
	return text(c, in.pos)
}

func (in *invocation) integerArg(i int) (int, bool, error) {
	c, err := in.arg(i)
	if err != nil {
		return 0, false, err
	}
	v, ok, err := integer(c, in.pos)
	return int(v), ok, err
}

// one is the single item of the input; ok is false when there is none.
func (in *invocation) one(c Collection) (Item, bool, error) {
	switch len(c) {
	case 0:
		return nil, false, nil
	case 1:
		return convert(c[0]), true, nil
	}
	return nil, false, fail(ErrEvaluation, in.pos, "%s on several items", in.name)
}

func (in *invocation) failed(reason string) error {
	return fail(ErrEvaluation, in.pos, "%s: %s", in.name, reason)
}

// functions are all functions by name: N1 §5 to §7, R4
// fhirpath.html#functions, and those of later releases that the tests of R4
// use.
var functions = merged(existence, filtering, conversions, texts, mathematics, tree, clocks, fhirFunctions)

func merged(tables ...map[string]*function) map[string]*function {
	all := map[string]*function{}
	for _, t := range tables {
		maps.Copy(all, t)
	}
	return all
}
