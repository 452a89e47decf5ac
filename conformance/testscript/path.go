package testscript

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// find evaluates the part of XPath that TestScripts use (R4 testing.html) on
// the JSON of a resource: steps with or without the prefix fhir:, a leading
// resource type, @value, @url and @id, // at the beginning, and the predicates
// [n] and [path='text']. A path that begins with $ is the same part of
// JSONPath.
func find(resource map[string]any, path string) ([]string, error) {
	steps, err := parsePath(path)
	if err != nil {
		return nil, err
	}
	nodes := []any{resource}
	for i, s := range steps {
		if i == 0 && s.name == resource["resourceType"] {
			if nodes = s.filter(nodes); len(nodes) == 0 {
				return nil, nil
			}
			continue
		}
		if nodes = s.walk(nodes); len(nodes) == 0 {
			return nil, nil
		}
	}
	var values []string
	for _, n := range nodes {
		values = append(values, text(n))
	}
	return values, nil
}

// step is one element of a path.
type step struct {
	name       string
	deep       bool // at any depth
	predicates []predicate
}

type predicate struct {
	index int // from 1; zero for a comparison
	path  []step
	value string
}

var (
	stepForm      = regexp.MustCompile(`^(?:[A-Za-z][\w-]*:)?(@?[A-Za-z_][\w-]*|\*)((?:\[[^\]]*\])*)$`)
	predicateForm = regexp.MustCompile(`\[([^\]]*)\]`)
	equation      = regexp.MustCompile(`^(.+?)\s*=\s*(?:'([^']*)'|"([^"]*)")$`)
)

// parsePath reads either kind of path.
func parsePath(path string) ([]step, error) {
	if rest, isJSON := strings.CutPrefix(path, "$"); isJSON {
		return parseJSONPath(rest)
	}
	deep := false
	if rest, ok := strings.CutPrefix(path, "//"); ok {
		path, deep = rest, true
	}
	var steps []step
	for _, part := range splitPath(strings.TrimPrefix(path, "/")) {
		m := stepForm.FindStringSubmatch(part)
		if m == nil {
			return nil, fmt.Errorf("the path %s uses more of XPath than is known here", path)
		}
		s := step{name: m[1], deep: deep}
		deep = false
		for _, p := range predicateForm.FindAllStringSubmatch(m[2], -1) {
			parsed, err := parsePredicate(p[1], path)
			if err != nil {
				return nil, err
			}
			s.predicates = append(s.predicates, parsed)
		}
		if s.name == "@value" { // a primitive is its value
			if len(s.predicates) > 0 || len(steps) == 0 {
				return nil, fmt.Errorf("the path %s uses more of XPath than is known here", path)
			}
			continue
		}
		s.name = strings.TrimPrefix(s.name, "@")
		steps = append(steps, s)
	}
	return steps, nil
}

func parsePredicate(text, path string) (predicate, error) {
	text = strings.TrimSpace(text)
	if n, err := strconv.Atoi(text); err == nil && n > 0 {
		return predicate{index: n}, nil
	}
	if m := equation.FindStringSubmatch(text); m != nil {
		inner, err := parsePath(strings.TrimSpace(m[1]))
		return predicate{path: inner, value: m[2] + m[3]}, err
	}
	return predicate{}, fmt.Errorf("the path %s uses more of XPath than is known here", path)
}

var jsonStep = regexp.MustCompile(`^(\.\.?|)(?:([A-Za-z_]\w*)|\['([^']+)'\]|\[(\d+|\*)\])`)

func parseJSONPath(rest string) ([]step, error) {
	var steps []step
	for path := rest; rest != ""; {
		m := jsonStep.FindStringSubmatch(rest)
		if m == nil || m[0] == "" || m[2] != "" && m[1] == "" {
			return nil, fmt.Errorf("the path $%s uses more of JSONPath than is known here", path)
		}
		rest = rest[len(m[0]):]
		switch {
		case m[4] == "*":
		case m[4] != "":
			if len(steps) == 0 {
				return nil, fmt.Errorf("the path $%s uses more of JSONPath than is known here", path)
			}
			n, _ := strconv.Atoi(m[4])
			last := &steps[len(steps)-1]
			last.predicates = append(last.predicates, predicate{index: n + 1})
		default:
			steps = append(steps, step{name: m[2] + m[3], deep: m[1] == ".."})
		}
	}
	return steps, nil
}

// splitPath cuts at slashes outside of predicates.
func splitPath(path string) (parts []string) {
	depth, from := 0, 0
	for i := range len(path) {
		switch path[i] {
		case '[':
			depth++
		case ']':
			depth--
		case '/':
			if depth == 0 {
				parts, from = append(parts, path[from:i]), i+1
			}
		}
	}
	return append(parts, path[from:])
}

// walk goes one step down. Arrays are repetitions, as in XML.
func (s step) walk(nodes []any) (out []any) {
	for _, n := range nodes {
		var found []any
		s.children(n, &found)
		out = append(out, s.filter(found)...)
	}
	return out
}

func (s step) children(node any, out *[]any) {
	o, ok := node.(map[string]any)
	if !ok {
		return
	}
	for name, child := range o {
		items, repeats := child.([]any)
		if !repeats {
			items = []any{child}
		}
		if name == s.name || s.name == "*" {
			*out = append(*out, items...)
		}
		if s.deep {
			for _, item := range items {
				s.children(item, out)
			}
		}
	}
}

func (s step) filter(nodes []any) []any {
	for _, p := range s.predicates {
		var kept []any
		for i, n := range nodes {
			if p.index == i+1 || p.index == 0 && p.holds(n) {
				kept = append(kept, n)
			}
		}
		nodes = kept
	}
	return nodes
}

func (p predicate) holds(node any) bool {
	nodes := []any{node}
	for _, s := range p.path {
		nodes = s.walk(nodes)
	}
	for _, n := range nodes {
		if text(n) == p.value {
			return true
		}
	}
	return false
}

// text is a value as it stands in the JSON, strings without quotes.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(b)
}
