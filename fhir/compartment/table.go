package compartment

import (
	_ "embed"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/fieldseal/fieldseal/fhir/simplepath"
)

//go:embed owner.yaml
var ownerYAML []byte

//go:embed organization.yaml
var organizationYAML []byte

type ownerRule struct {
	paths   []simplepath.Path
	whole   bool // one owner for the type
	patient bool // the patient itself
}

type orgRule struct {
	paths []simplepath.Path
	self  bool
}

func parseOwners(b []byte) (map[string]ownerRule, error) {
	rules := map[string]ownerRule{}
	err := eachRow(b, func(typ, word string, paths []simplepath.Path) error {
		rule := ownerRule{paths: paths}
		switch word {
		case "", "self":
		case "type":
			rule.whole = true
		case "patient":
			rule.patient = true
		default:
			return fmt.Errorf("%s: unknown word %q", typ, word)
		}
		rules[typ] = rule
		return nil
	})
	return rules, err
}

func parseOrgs(b []byte) (map[string]orgRule, error) {
	rules := map[string]orgRule{}
	err := eachRow(b, func(typ, word string, paths []simplepath.Path) error {
		if word != "" && word != "self" {
			return fmt.Errorf("%s: unknown word %q", typ, word)
		}
		rules[typ] = orgRule{paths: paths, self: word == "self"}
		return nil
	})
	return rules, err
}

// eachRow reads a table whose values are either one word or a list of paths
// below the type.
func eachRow(b []byte, row func(typ, word string, paths []simplepath.Path) error) error {
	var rows map[string]yaml.Node
	if err := yaml.Unmarshal(b, &rows); err != nil {
		return err
	}
	for typ, v := range rows {
		var word string
		var names []string
		if v.Kind == yaml.ScalarNode {
			word = v.Value
		} else if err := v.Decode(&names); err != nil || len(names) == 0 {
			return fmt.Errorf("%s: want a word or a list of paths", typ)
		}
		var paths []simplepath.Path
		for _, name := range names {
			paths = append(paths, simplepath.Path{Type: typ, Members: strings.Split(name, ".")})
		}
		if err := row(typ, word, paths); err != nil {
			return err
		}
	}
	return nil
}
