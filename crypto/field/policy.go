package field

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"

	"gopkg.in/yaml.v3"
)

//go:embed classes.yaml
var defaultPolicy []byte

// policy is the parsed rule file; classes.yaml documents each part.
type policy struct {
	Version    int                          `yaml:"version"`
	Groups     map[string][]string          `yaml:"groups"`
	Paths      map[string]string            `yaml:"paths"`
	Resources  []resourceRule               `yaml:"resources"`
	Datatypes  map[string]datatypeRule      `yaml:"datatypes"`
	Extensions map[string]string            `yaml:"extensions"`
	Derived    map[string]map[string]string `yaml:"derived"`
	Leaf       []string                     `yaml:"leaf"`
	Clear      []string                     `yaml:"clear"`
}

type resourceRule struct {
	Types     []string          `yaml:"types"`
	Datatypes map[string]string `yaml:"datatypes"`
}

// datatypeRule is one class for the whole datatype, or one per member.
type datatypeRule struct {
	whole   string
	members map[string]string
}

func (d *datatypeRule) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		return n.Decode(&d.whole)
	}
	return n.Decode(&d.members)
}

// byTarget and byType are the two rules that are not plain class names.
const (
	// byTarget: identifier when a Patient or RelatedPerson may be referred
	// to, else administrative.
	byTarget = "by-target"
	// byType leaves the datatype to its own rule under datatypes.
	byType = "by-type"
)

func parsePolicy(b []byte) (*policy, error) {
	dec := yaml.NewDecoder(bytes.NewReader(b))
	dec.KnownFields(true)
	var p policy
	if err := dec.Decode(&p); err != nil {
		return nil, fmt.Errorf("reading class policy: %w", err)
	}
	return &p, p.validate()
}

// bookkeeping is all that may stay clear: without these columns an engine
// could not find or order versions.
var bookkeeping = map[string]bool{"type": true, "storage-key": true, "version": true, "updated": true, "deleted": true, "owner": true}

// validate reports every problem of the rules at once.
func (p *policy) validate() error {
	var errs []error
	if p.Version != 1 {
		errs = append(errs, fmt.Errorf("class policy version %d is not 1", p.Version))
	}
	check := func(where, class string) {
		if class == byTarget || class == byType {
			return
		}
		if _, err := ParseClass(class); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", where, err))
		}
	}
	for path, c := range p.Paths {
		check(path, c)
	}
	for _, r := range p.Resources {
		for d, c := range r.Datatypes {
			check(d, c)
		}
	}
	for name, d := range p.Datatypes {
		if d.members == nil {
			check(name, d.whole)
		}
		for m, c := range d.members {
			check(name+"."+m, c)
		}
	}
	for url, c := range p.Extensions {
		check(url, c)
	}
	for _, c := range p.Clear {
		if !bookkeeping[c] {
			errs = append(errs, fmt.Errorf("clear: %q is not a bookkeeping column", c))
		}
	}
	return errors.Join(errs...)
}
