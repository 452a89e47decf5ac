package label

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir"
)

// ValueSets tells whether a value set has a code.
type ValueSets interface {
	Contains(ctx context.Context, valueSet, system, code string) (bool, error)
}

// Rules say which labels a resource gets when it is written. The zero value has
// none. Immutable.
type Rules struct{ rules []rule }

// rule is one entry of the file: a resource that has one of the codes gets the
// labels.
type rule struct {
	Labels    []string `yaml:"labels"`
	Types     []string `yaml:"types"`
	Codes     []string `yaml:"codes"`
	ValueSets []string `yaml:"valueSets"`

	labels []field.Label
	codes  map[field.Label]bool
}

// Load reads a file of rules; types are the resource types that exist.
func Load(path string, types []string) (*Rules, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading label rules: %w", err)
	}
	return Parse(b, types)
}

// Parse reads rules and reports every problem at once (docs/policy.md).
func Parse(b []byte, types []string) (*Rules, error) {
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	r := &Rules{}
	if err := d.Decode(&r.rules); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("label rules: %w", err)
	}
	var problems []error
	for i := range r.rules {
		if err := r.rules[i].check(types); err != nil {
			problems = append(problems, fmt.Errorf("label rules: rule %d: %w", i+1, err))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *rule) check(types []string) error {
	var problems []error
	if len(r.Labels) == 0 || len(r.Codes)+len(r.ValueSets) == 0 {
		problems = append(problems, errors.New("it needs labels, and codes or valueSets"))
	}
	for _, text := range r.Labels {
		l, ok := parseLabel(text)
		if !ok {
			problems = append(problems, fmt.Errorf("label %q is none of %s, no category and no SYSTEM|CODE", text, strings.Join(order[:], ", ")))
		}
		r.labels = append(r.labels, l)
	}
	for _, t := range r.Types {
		if !slices.Contains(types, t) {
			problems = append(problems, fmt.Errorf("%q is no resource type", t))
		}
	}
	r.codes = map[field.Label]bool{}
	for _, c := range r.Codes {
		system, code, ok := strings.Cut(c, "|")
		if !ok || system == "" || code == "" {
			problems = append(problems, fmt.Errorf("code %q is not written SYSTEM|CODE", c))
		}
		r.codes[field.Label{System: system, Code: code}] = true
	}
	for _, v := range r.ValueSets {
		if !strings.Contains(v, ":") {
			problems = append(problems, fmt.Errorf("value set %q is no canonical URL", v))
		}
	}
	return errors.Join(problems...)
}

// parseLabel reads a confidentiality, a sensitivity category or SYSTEM|CODE.
func parseLabel(text string) (field.Label, bool) {
	if system, code, ok := strings.Cut(text, "|"); ok {
		return field.Label{System: system, Code: code}, system != "" && code != ""
	}
	if _, ok := ParseLevel(text); ok {
		return field.Label{System: Confidentiality, Code: text}, true
	}
	return field.Label{System: Sensitivity, Code: text}, text != "" && text == strings.ToUpper(text) && !strings.ContainsAny(text, " \t")
}

// For returns the labels that a resource ought to have: it looks at every coding
// of it but those of its meta. A value set that cannot be asked counts as one
// that has the code: what is not understood protects more.
func (r *Rules) For(ctx context.Context, res *fhir.Resource, sets ValueSets) (labels []field.Label) {
	if r == nil || len(r.rules) == 0 {
		return nil
	}
	found := map[field.Label]bool{}
	root := res.Root()
	for i := range root.Len() {
		if m := root.At(i); m.Name() != "meta" {
			collect(m, found)
		}
	}
	for i := range r.rules {
		rule := &r.rules[i]
		if len(rule.Types) > 0 && !slices.Contains(rule.Types, res.Type()) || !rule.matches(ctx, found, sets) {
			continue
		}
		for _, l := range rule.labels {
			if !slices.Contains(labels, l) {
				labels = append(labels, l)
			}
		}
	}
	return labels
}

func (r *rule) matches(ctx context.Context, found map[field.Label]bool, sets ValueSets) bool {
	for c := range found {
		if r.codes[c] {
			return true
		}
	}
	for _, v := range r.ValueSets {
		for c := range found {
			if has, err := sets.Contains(ctx, v, c.System, c.Code); has || err != nil {
				return true
			}
		}
	}
	return false
}

// collect notes every object with a system and a code.
func collect(n *fhir.Node, found map[field.Label]bool) {
	if n.Kind() == fhir.Object {
		if system, code := n.Member("system").Text(), n.Member("code").Text(); system != "" && code != "" {
			found[field.Label{System: system, Code: code}] = true
		}
	}
	for i := range n.Len() {
		collect(n.At(i), found)
	}
}
