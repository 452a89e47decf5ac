package testscript

import (
	"errors"
	"fmt"
	"slices"
)

// The extensions by which the scripts of Crucible's TestScript engine run
// another script and take its verdict.
const (
	subtestURL     = "https://fhir-crucible.github.io/testscript-engine-ig/StructureDefinition/assert-subtest"
	subtestEachURL = "https://fhir-crucible.github.io/testscript-engine-ig/StructureDefinition/assert-subtest-each"
)

const (
	maxDepth = 4   // of subtests in subtests
	maxEach  = 100 // instances that one assertion looks at
)

// errNoSubtest means that an assertion is an ordinary one.
var errNoSubtest = errors.New("no subtest")

// subtests runs the scripts that an assertion names.
func (x *run) subtests(a *assertion) error {
	for _, e := range a.Extension {
		if e.URL != subtestURL && e.URL != subtestEachURL {
			continue
		}
		name := inner(e, "testName").ValueString
		i := slices.IndexFunc(x.Scripts, func(s *Script) bool { return s.Name == name })
		if i < 0 {
			return skip("the script %s was not given", name)
		}
		if x.depth >= maxDepth {
			return errors.New("subtests are nested too deep")
		}
		if e.URL == subtestEachURL {
			return x.subtestEach(a, e, x.Scripts[i])
		}
		bound := map[string]string{}
		for _, b := range e.Extension {
			if b.URL != "bindVariable" {
				continue
			}
			value, err := x.value(inner(b, "bindSource").ValueString)
			if err != nil {
				return err
			}
			bound[inner(b, "bindTarget").ValueString] = value
		}
		return x.subtest(x.Scripts[i], bound)
	}
	return errNoSubtest
}

// subtestEach runs a script for every value of the assertion's expression.
func (x *run) subtestEach(a *assertion, e extension, s *Script) error {
	m, err := x.source(a.SourceID, x.lastResponse)
	if err != nil {
		return err
	}
	values, err := x.evaluate(m, a.Expression, a.Path)
	if err != nil {
		return err
	}
	if len(values) == 0 {
		return differ("there is no instance to look at")
	}
	passed, problem := 0, error(nil)
	for _, v := range values[:min(len(values), maxEach)] {
		if err := x.subtest(s, map[string]string{inner(e, "bindEachTarget").ValueString: v}); err != nil {
			problem = fmt.Errorf("instance %d: %w", passed+1, err)
			if inner(e, "allMustPass").ValueBoolean {
				return problem
			}
			continue
		}
		passed++
	}
	if passed == 0 {
		return problem
	}
	return nil
}

// subtest runs a script and turns its verdict into that of an assertion.
func (x *run) subtest(s *Script, bound map[string]string) error {
	result := x.Runner.run(x.ctx, s, bound, x.depth+1)
	detail := ""
	for _, p := range result.Parts {
		if d := p.Details(); len(d) > 0 && detail == "" {
			detail = d[0]
		}
	}
	switch result.Verdict {
	case Pass, Warning:
		return nil
	case Skip:
		return skip("subtest %s: %s", s, detail)
	case Fail:
		return differ("subtest %s: %s", s, detail)
	}
	return fmt.Errorf("subtest %s: %s", s, detail)
}

func inner(e extension, url string) extension {
	for _, i := range e.Extension {
		if i.URL == url {
			return i
		}
	}
	return extension{}
}
