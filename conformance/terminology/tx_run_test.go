package terminology

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/fhir"
)

// txCase puts the question of one test to the package.
type txCase struct {
	*testing.T
	name   string
	files  txFiles
	test   txTest
	source *memory
}

// skip is why the test is not applicable, or empty.
func (c *txCase) skip(suite txSuite) string {
	for _, row := range notApplicable {
		if row.suite == suite.Name && (row.test == "" || row.test == c.test.Name) {
			return row.reason
		}
	}
	if c.test.Profile != "" {
		return "parameters that override versions"
	}
	if c.files[c.test.Request] == nil || c.files[c.test.Response] == nil {
		return "not in the public half"
	}
	if c.param("useSupplement") != nil {
		return "the parameter useSupplement"
	}
	if c.issue("invalid-display") {
		return "checks a display, which is not part of membership"
	}
	return ""
}

// param is the value of a request parameter, nil when there is none.
func (c *txCase) param(name string) *fhir.Node { return param(c.files[c.test.Request], name) }

func param(r *fhir.Resource, name string) *fhir.Node {
	for p := range items(r.Root().Member("parameter")) {
		if p.Member("name").Text() != name {
			continue
		}
		for i := range p.Len() {
			if m := p.At(i); strings.HasPrefix(m.Name(), "value") || m.Name() == "resource" {
				return m
			}
		}
	}
	return nil
}

// issue reports whether the expected response has an issue of the kind.
func (c *txCase) issue(code string) bool {
	return strings.Contains(string(c.files[c.test.Response].AppendJSON(nil)), strconv.Quote(code))
}

func (c *txCase) run() {
	s := newService(c, c.source)
	switch c.test.Operation {
	case "expand":
		c.expand(s)
	case "validate-code":
		c.validate(s)
	case "cs-validate-code":
		system := c.param("url").Text()
		code := c.param("code").Text()
		if coding := c.param("coding"); coding != nil {
			system, code = coding.Member("system").Text(), coding.Member("code").Text()
		}
		_, err := s.Lookup(c.Context(), system, code)
		c.result(err == nil, err)
	case "lookup":
		c.lookup(s)
	default:
		c.Errorf("%s: no row for operation %s", c.name, c.test.Operation)
	}
}

// valueSet is the canonical that the request names; a value set in the request
// is stored first.
func (c *txCase) valueSet() string {
	if n := c.param("valueSet"); n != nil {
		n := n.Clone()
		if n.Member("url") == nil {
			n.Set("url", fhir.NewString("urn:request"))
		}
		r, err := fhir.NewResource(n)
		if err != nil {
			c.Fatal(err)
		}
		c.source.put(r)
		return n.Member("url").Text()
	}
	return join(c.param("url").Text(), c.param("valueSetVersion").Text())
}

func (c *txCase) expand(s *Service) {
	list, err := s.Enumerate(c.Context(), c.valueSet(), 1000)
	response := c.files[c.test.Response]
	if response.Type() == "OperationOutcome" {
		if err == nil {
			c.Errorf("%s: %d codes, want an error", c.name, len(list))
		}
		return
	}
	if err != nil {
		c.Errorf("%s: %v", c.name, err)
		return
	}
	var got, want []string
	for _, con := range list {
		if !con.Inactive || !isTrue(c.param("activeOnly")) {
			got = append(got, con.System+"|"+con.Code)
		}
	}
	flatten(response.Root().Member("expansion").Member("contains"), &want)
	slices.Sort(got)
	slices.Sort(want)
	if c.param("count") != nil { // a page: its codes are some of all
		for _, w := range want {
			if !slices.Contains(got, w) {
				c.Errorf("%s: lacks %s", c.name, w)
			}
		}
		return
	}
	if !slices.Equal(got, want) {
		c.Errorf("%s: %v, want %v", c.name, got, want)
	}
}

func flatten(list *fhir.Node, into *[]string) {
	for n := range items(list) {
		*into = append(*into, n.Member("system").Text()+"|"+n.Member("code").Text())
		flatten(n.Member("contains"), into)
	}
}

// validate asks for each coding; a CodeableConcept is valid when one of its
// codings is in the value set and none names a code that does not exist.
func (c *txCase) validate(s *Service) {
	url := c.valueSet()
	var codings []*fhir.Node
	if n := c.param("coding"); n != nil {
		codings = append(codings, n)
	}
	concept := c.param("codeableConcept")
	if concept != nil {
		for coding := range items(concept.Member("coding")) {
			codings = append(codings, coding)
		}
	}
	if n := c.param("code"); n != nil {
		coding := fhir.NewObject(n.Named("code"), c.param("system").Named("system"))
		if v := c.param("systemVersion"); v != nil {
			coding.Append(v.Named("version"))
		}
		codings = append(codings, &coding)
	}
	valid, unknown, first := false, false, error(nil)
	for _, coding := range codings {
		system := join(coding.Member("system").Text(), coding.Member("version").Text())
		in, err := s.Contains(c.Context(), url, system, coding.Member("code").Text())
		con, missing := s.Lookup(c.Context(), system, coding.Member("code").Text())
		unknown = unknown || concept != nil && errors.Is(missing, ErrNotFound)
		if missing == nil {
			in = in && !(con.Inactive && isTrue(c.param("activeOnly"))) && !(con.Abstract && isFalse(c.param("abstract")))
		}
		valid = valid || in
		if first == nil {
			first = err
		}
	}
	if valid {
		first = nil
	}
	c.result(valid && !unknown, first)
}

// result compares with the expected answer. An undecided question is what a
// server reports as a false result with an issue about what is missing.
func (c *txCase) result(got bool, err error) {
	response := c.files[c.test.Response]
	if response.Type() == "OperationOutcome" {
		if err == nil {
			c.Errorf("%s: %v, want an error", c.name, got)
		}
		return
	}
	want := isTrue(param(response, "result"))
	switch {
	case err != nil && (want || !open(err) && !errors.Is(err, ErrInvalid)):
		c.Errorf("%s: %v, want %v", c.name, err, want)
	case err == nil && got != want:
		c.Errorf("%s: %v, want %v", c.name, got, want)
	}
}

func (c *txCase) lookup(s *Service) {
	con, err := s.Lookup(c.Context(), c.param("system").Text(), c.param("code").Text())
	response := c.files[c.test.Response]
	if err != nil {
		c.Errorf("%s: %v", c.name, err)
		return
	}
	want := Concept{
		System: con.System, Version: param(response, "version").Text(), Code: param(response, "code").Text(),
		Display: param(response, "display").Text(), Abstract: isTrue(param(response, "abstract")), Inactive: con.Inactive,
	}
	if con != want {
		c.Errorf("%s: %+v, want %+v", c.name, con, want)
	}
}
