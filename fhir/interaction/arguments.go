package interaction

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/fieldseal/fieldseal/fhir"
)

// arguments are the in parameters of an operation: primitives by their text,
// from the URL or the body, and the others as trees.
type arguments struct {
	values url.Values
	nodes  map[string][]*fhir.Node
	body   *fhir.Resource // the resource of the parameter "resource", also when sent alone
}

// arguments reads what was invoked with (R4 operations.html#request). Names
// that the operation does not define are refused, but for $lastn, which takes
// search parameters.
func (s *Service) arguments(in *invocation) (arguments, error) {
	args := arguments{nodes: map[string][]*fhir.Node{}}
	var err error
	if args.values, err = url.ParseQuery(in.Query); err != nil {
		return args, fail(Malformed, err, "the query string is malformed")
	}
	args.values.Del("_format")
	args.values.Del("_pretty")
	if len(in.Body) > 0 {
		r, err := fhir.Parse(in.Body, s.Limits)
		if err != nil {
			return args, err
		}
		if err := args.read(r, in); err != nil {
			return args, err
		}
	}
	for name := range args.values {
		if in.Code != "lastn" && takes(in.def, name) == nil {
			return args, unknownParameter()
		}
	}
	for name := range args.nodes {
		if takes(in.def, name) == nil {
			return args, unknownParameter()
		}
	}
	return args, nil
}

func unknownParameter() *Failure {
	f := fail(Malformed, nil, "the operation has no such parameter")
	f.Issues[0].Code = "not-supported"
	return f
}

// read takes Parameters apart. Another resource is the value of the parameter
// resource where there is one.
func (a *arguments) read(r *fhir.Resource, in *invocation) error {
	if r.Type() != "Parameters" {
		if takes(in.def, "resource") == nil {
			return fail(Malformed, nil, "the operation takes a Parameters resource")
		}
		a.body = r
		return nil
	}
	list := r.Root().Member("parameter")
	if list == nil {
		return nil
	}
	for i := range list.Len() {
		if err := a.parameter(list.At(i)); err != nil {
			return err
		}
	}
	return nil
}

func (a *arguments) parameter(p *fhir.Node) error {
	name := p.Member("name").Text()
	if name == "" {
		return fail(Malformed, nil, "a parameter needs a name")
	}
	if n := p.Member("resource"); n != nil {
		r, err := fhir.NewResource(n.Clone())
		if err != nil {
			return err
		}
		a.nodes[name] = append(a.nodes[name], r.Root())
		if name == "resource" {
			a.body = r
		}
		return nil
	}
	for i := range p.Len() {
		v := p.At(i)
		if !strings.HasPrefix(v.Name(), "value") {
			continue
		}
		switch v.Kind() {
		case fhir.Object:
			a.nodes[name] = append(a.nodes[name], v)
		case fhir.String:
			a.values.Add(name, v.Text())
		default:
			a.values.Add(name, string(v.Raw()))
		}
		return nil
	}
	return fail(Malformed, nil, "a parameter needs a value")
}

// count reads a positive number, 0 when there is none.
func (a *arguments) count(name string, most int) (int, error) {
	text := a.values.Get(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, fail(Malformed, err, "%s must be a positive number", name)
	}
	return min(n, most), nil
}

// instant reads an instant, zero when there is none.
func (a *arguments) instant(name string) (time.Time, error) {
	text := a.values.Get(name)
	if text == "" {
		return time.Time{}, nil
	}
	t, ok := fhir.ParseInstant(strings.ReplaceAll(text, " ", "+")) // an unescaped + in a URL
	if !ok {
		return time.Time{}, fail(Malformed, nil, "%s must be an instant", name)
	}
	return t, nil
}

// flag reads a boolean.
func (a *arguments) flag(name string) (bool, error) {
	switch a.values.Get(name) {
	case "", "false":
		return false, nil
	case "true":
		return true, nil
	}
	return false, fail(Malformed, nil, "%s must be true or false", name)
}
