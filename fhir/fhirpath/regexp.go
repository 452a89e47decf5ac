package fhirpath

import (
	"regexp"
	"regexp/syntax"
)

// pattern is a compiled regular expression; several are kept per evaluation.
type pattern struct {
	re   *regexp.Regexp
	size int // instructions of the program
}

// Bounds of regular expressions: RE2 is linear in the text, and the program,
// which a{1000} multiplies, is bounded here.
const (
	maxPatternBytes = 4096
	maxPatterns     = 64
)

// match compiles the expression and charges for running it on s: the text times
// the program. It is compiled in single-line mode: the dot matches newlines too
// (N1 §5.6.8).
func (in *invocation) match(s, expression string, full bool) (*regexp.Regexp, error) {
	if len(expression) > maxPatternBytes {
		return nil, fail(ErrLimit, in.pos, "a regular expression of more than %d bytes", maxPatternBytes)
	}
	if full {
		expression = `\A(?:` + expression + `)\z`
	}
	p := in.ev.patterns[expression]
	if p == nil {
		var err error
		if p, err = in.compile(expression); err != nil {
			return nil, err
		}
	}
	return p.re, in.ev.spend(in.pos, 1+len(s)*p.size/64)
}

func (in *invocation) compile(expression string) (*pattern, error) {
	const unfit = "no regular expression that RE2 takes"
	tree, err := syntax.Parse(expression, syntax.Perl|syntax.DotNL)
	if err != nil {
		return nil, in.failed(unfit)
	}
	program, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return nil, in.failed(unfit)
	}
	p := &pattern{size: len(program.Inst)}
	if err := in.ev.spend(in.pos, 8*len(expression)+p.size); err != nil {
		return nil, err
	}
	if p.re, err = regexp.Compile("(?s)" + expression); err != nil {
		return nil, in.failed(unfit)
	}
	if in.ev.patterns == nil || len(in.ev.patterns) >= maxPatterns {
		in.ev.patterns = map[string]*pattern{}
	}
	in.ev.patterns[expression] = p
	return p, nil
}

func matches(full bool) func(*invocation, Collection) (Collection, error) {
	return func(in *invocation, c Collection) (Collection, error) {
		s, ok, err := text(c, in.pos)
		if err != nil {
			return nil, err
		}
		p, okP, err := in.textArg(0)
		if err != nil || !ok || !okP {
			return nil, err
		}
		re, err := in.match(s, p, full)
		if err != nil {
			return nil, err
		}
		return truth(re.MatchString(s)), nil
	}
}

// replaceMatches replaces; the substitution names groups by ${name}, $name or $1
// (N1 §5.6.10).
func replaceMatches(in *invocation, c Collection) (Collection, error) {
	s, ok, err := text(c, in.pos)
	if err != nil {
		return nil, err
	}
	p, okP, err := in.textArg(0)
	if err != nil {
		return nil, err
	}
	with, okW, err := in.textArg(1)
	if err != nil || !ok || !okP || !okW {
		return nil, err
	}
	if p == "" {
		return Collection{String(s)}, nil
	}
	re, err := in.match(s, p, false)
	if err != nil {
		return nil, err
	}
	var out []byte
	at := 0
	for _, m := range re.FindAllStringSubmatchIndex(s, -1) {
		out = re.ExpandString(append(out, s[at:m[0]]...), with, s, m)
		at = m[1]
		if err := in.pay(len(out)); err != nil {
			return nil, err
		}
	}
	return Collection{String(append(out, s[at:]...))}, nil
}
