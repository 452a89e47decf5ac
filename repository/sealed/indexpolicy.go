package sealed

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir/search"
)

//go:embed index.yaml
var indexYAML []byte

// The profiles of the index policy.
const (
	ProfileStandard = "standard" // all of FHIR search, population-wide
	ProfileStrict   = "strict"   // clinical parameters inside one patient only
)

// reach says under whose keys a parameter has tokens.
type reach uint8

const (
	population reach = 1 << iota
	patient
)

var reaches = map[string]reach{"none": 0, "population": population, "patient": patient, "both": population | patient}

// policyFile is index.yaml.
type policyFile struct {
	Version  int
	Prefixes []int
	Unions   map[string]map[string][]string
	Profiles map[string][]policyRule
}

type policyRule struct {
	Types, Parameters, Kinds, Classes []string
	Index                             string
	Prefixes                          []int
}

// IndexPolicy says which tokens a parameter has. It is immutable.
type IndexPolicy struct {
	profile  string
	prefixes []int
	lengths  map[*search.Parameter][]int // where a rule has its own
	unions   map[string]map[string][]string
	reach    map[*search.Parameter]reach
}

// prefixesOf are the lengths of the beginnings of a string that have tokens.
func (p *IndexPolicy) prefixesOf(param *search.Parameter) []int {
	if own := p.lengths[param]; own != nil {
		return own
	}
	return p.prefixes
}

// NewIndexPolicy compiles a profile of the embedded policy over the catalog.
func NewIndexPolicy(profile string, catalog *search.Catalog) (*IndexPolicy, error) {
	return parseIndexPolicy(indexYAML, profile, catalog)
}

// policyVersion is the version of the file that this binary reads.
const policyVersion = 1

func parseIndexPolicy(text []byte, profile string, catalog *search.Catalog) (*IndexPolicy, error) {
	var f policyFile
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&f); err != nil {
		return nil, fmt.Errorf("index policy: %w", err)
	}
	rules, ok := f.Profiles[profile]
	if !ok {
		return nil, fmt.Errorf("index policy: unknown profile %q; there are %s and %s", profile, ProfileStandard, ProfileStrict)
	}
	p := &IndexPolicy{profile: profile, prefixes: f.Prefixes, unions: f.Unions, reach: map[*search.Parameter]reach{}, lengths: map[*search.Parameter][]int{}}
	if err := p.check(f, catalog); err != nil {
		return nil, fmt.Errorf("index policy: %w", err)
	}
	for _, typ := range catalog.Registry().ResourceTypes() {
		for _, param := range catalog.Parameters(typ) {
			for _, rule := range rules {
				if !rule.fits(param) {
					continue
				}
				if rule.Index != "" {
					p.reach[param] = reaches[rule.Index]
				}
				if rule.Prefixes != nil {
					p.lengths[param] = rule.Prefixes
				}
			}
			if len(f.Unions[typ][param.Code]) > 0 {
				p.reach[param] = 0
			}
		}
	}
	return p, nil
}

// check reports everything that the policy gets wrong, at once.
func (p *IndexPolicy) check(f policyFile, catalog *search.Catalog) error {
	var problems []error
	if f.Version != policyVersion {
		problems = append(problems, fmt.Errorf("version %d; this binary reads %d", f.Version, policyVersion))
	}
	for profile, rules := range f.Profiles {
		for i, r := range rules {
			if err := r.check(catalog); err != nil {
				problems = append(problems, fmt.Errorf("%s, rule %d: %w", profile, i+1, err))
			}
		}
	}
	for typ, unions := range f.Unions {
		for code, parts := range unions {
			for _, c := range append([]string{code}, parts...) {
				if catalog.Parameter(typ, c) == nil {
					problems = append(problems, fmt.Errorf("%s has no parameter %s", typ, c))
				}
			}
		}
	}
	if len(p.prefixes) == 0 {
		problems = append(problems, errPrefixes)
	}
	return errors.Join(append(problems, checkPrefixes(p.prefixes))...)
}

var errPrefixes = errors.New("prefixes must be positive and ascend")

func checkPrefixes(lengths []int) error {
	last := 0
	for _, n := range lengths {
		if n <= last {
			return errPrefixes
		}
		last = n
	}
	return nil
}

// check reports what a rule names and nobody knows.
func (r policyRule) check(catalog *search.Catalog) error {
	problems := []error{checkPrefixes(r.Prefixes)}
	unknown := func(what, name string) { problems = append(problems, fmt.Errorf("unknown %s %q", what, name)) }
	if _, ok := reaches[r.Index]; !ok && (r.Index != "" || r.Prefixes == nil) {
		unknown("index", r.Index)
	}
	for _, k := range r.Kinds {
		if search.ParseKind(k) == 0 {
			unknown("kind", k)
		}
	}
	for _, c := range r.Classes {
		if _, err := field.ParseClass(c); err != nil {
			problems = append(problems, err)
		}
	}
	types := catalog.Registry().ResourceTypes()
	for _, t := range r.Types {
		if !slices.Contains(types, t) {
			unknown("type", t)
		}
	}
	for _, code := range r.Parameters {
		if !slices.ContainsFunc(types, func(t string) bool { return catalog.Parameter(t, code) != nil }) {
			unknown("parameter", code)
		}
	}
	return errors.Join(problems...)
}

func (r policyRule) fits(p *search.Parameter) bool {
	var classes field.ClassSet
	for _, name := range r.Classes {
		c, _ := field.ParseClass(name) // checked at load
		classes |= field.Set(c)
	}
	return (len(r.Types) == 0 || slices.Contains(r.Types, p.Resource)) &&
		(len(r.Parameters) == 0 || slices.Contains(r.Parameters, p.Code)) &&
		(len(r.Kinds) == 0 || slices.Contains(r.Kinds, p.Kind.String())) &&
		(len(r.Classes) == 0 || classes.Contains(p.Needs(search.NoModifier)))
}
