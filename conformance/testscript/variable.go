package testscript

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var placeholder = regexp.MustCompile(`\$\{([A-Za-z0-9_.-]+)\}`)

// fill replaces ${name} by the variables' values, as they are now.
func (x *run) fill(text string) (string, error) {
	var problem error
	out := placeholder.ReplaceAllStringFunc(text, func(p string) string {
		v, err := x.value(p[2 : len(p)-1])
		if err != nil && problem == nil {
			problem = err
		}
		return v
	})
	return out, problem
}

// value is a variable's value: bound from outside, taken from its source, or
// its default (R4 testing.html: variables are evaluated when they are used).
func (x *run) value(name string) (string, error) {
	for _, given := range []map[string]string{x.vars, x.Variables} {
		if v, ok := given[name]; ok {
			return v, nil
		}
	}
	i := slices.IndexFunc(x.script.Vars, func(v variable) bool { return v.Name == name })
	if i < 0 {
		return "", fmt.Errorf("no variable is called %s", name)
	}
	v := x.script.Vars[i]
	if v.HeaderField != "" || v.Path != "" || v.Expression != "" {
		got, err := x.fromSource(v)
		if err == nil && got != "" {
			return got, nil
		}
		if v.DefaultValue == "" {
			return "", fmt.Errorf("variable %s has no value in its source", name)
		}
	}
	if v.DefaultValue == "" {
		return "", fmt.Errorf("variable %s has no value; give it one", name)
	}
	return v.DefaultValue, nil
}

func (x *run) fromSource(v variable) (string, error) {
	m, err := x.source(v.SourceID, x.lastResponse)
	if err != nil {
		return "", err
	}
	if v.HeaderField != "" {
		return m.header.Get(v.HeaderField), nil
	}
	values, err := x.evaluate(m, v.Expression, v.Path)
	if err != nil || len(values) == 0 {
		return "", err
	}
	return values[0], nil
}

// source is the fixture, response or request with the id; without an id it is
// the other.
func (x *run) source(id string, other *message) (*message, error) {
	if id == "" {
		if other == nil {
			return nil, fmt.Errorf("nothing was sent or received yet")
		}
		return other, nil
	}
	for _, set := range []map[string]*message{x.responses, x.requests, x.fixtures} {
		if m := set[id]; m != nil {
			return m, nil
		}
	}
	return nil, fmt.Errorf("no fixture or answer is called %s", id)
}

// evaluate is the values of an expression (FHIRPath) or a path (XPath or
// JSONPath) on a message's body.
func (x *run) evaluate(m *message, expression, path string) ([]string, error) {
	tree, err := m.tree()
	if err != nil {
		return nil, err
	}
	if expression != "" {
		if expression, err = x.fill(expression); err != nil {
			return nil, err
		}
		return fhirPath(x.ctx, m.body, expression)
	}
	if path, err = x.fill(strings.TrimSpace(path)); err != nil {
		return nil, err
	}
	return find(tree, path)
}
