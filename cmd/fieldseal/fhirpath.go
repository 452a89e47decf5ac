package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/fieldseal/fieldseal/conformance/profile"
	"github.com/fieldseal/fieldseal/conformance/terminology"
	"github.com/fieldseal/fieldseal/conformance/validation"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
	"github.com/fieldseal/fieldseal/fhir/fhirpath"
)

func newFHIRPath() *cobra.Command {
	var file string
	var definitions []string
	var batch bool
	c := &cobra.Command{Use: "fhirpath [EXPRESSION]", Short: "Evaluate a FHIRPath expression on a resource",
		Long: `Evaluate a FHIRPath expression (N1, as FHIR R4 uses it) on a resource in a
JSON file, or on nothing, and print one JSON line per result. A type is the name
in FHIR, also for System types: integer, string, boolean, decimal, date,
dateTime, time, Quantity. An error goes to standard error, with exit 1.

The expression is checked against the type of the resource: an element that the
type does not have is an error. Value sets are answered from the definitions of
R4 and of --definitions, and so are the profiles of conformsTo(); resolve() finds
what is in the resource itself. No server is asked.

With --batch, each line of standard input is
  {"expression":"name.given","context":"patient.json"}
(context may be left out) and is answered by a line of
  {"result":[{"type":"string","value":"Peter"}]}   or   {"error":"…"}`,
		Example: `  fieldseal fhirpath '2 + 2'
  fieldseal fhirpath --context patient.json "name.where(use = 'official').given"
  fieldseal fhirpath --definitions us-core/ --context patient.json \\
    "conformsTo('http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient')"
  fieldseal fhirpath --batch < expressions.ndjson > results.ndjson`,
		Args: func(c *cobra.Command, args []string) error {
			if batch {
				return cobra.NoArgs(c, args)
			}
			return cobra.ExactArgs(1)(c, args)
		}}
	c.Flags().StringVar(&file, "context", "", "`FILE` with the resource, as FHIR JSON")
	c.Flags().StringArrayVar(&definitions, "definitions", nil, "StructureDefinitions, ValueSets and CodeSystems as FHIR JSON: a `PATH` of a file or folder; may be repeated")
	c.Flags().BoolVar(&batch, "batch", false, "read expressions as JSON lines from standard input")
	c.RunE = func(c *cobra.Command, args []string) error {
		p, err := newPathRunner(definitions...)
		if err != nil {
			return err
		}
		if batch {
			if file != "" {
				return usage(c, errors.New("--batch takes the context from each line"))
			}
			return p.batch(c.Context(), c.InOrStdin(), c.OutOrStdout())
		}
		items, err := p.evaluate(c.Context(), args[0], file)
		if err != nil {
			return err
		}
		out := bufio.NewWriter(c.OutOrStdout())
		for _, item := range items {
			if _, err := out.Write(append(appendItem(nil, item), '\n')); err != nil {
				return err
			}
		}
		return out.Flush()
	}
	return c
}

// Bounds of what the runner remembers, reads and writes.
const (
	maxPathExpressions = 4096
	maxPathContexts    = 64
	maxPathLine        = 1 << 20
	maxPathAnswer      = 64 << 20 // bytes of one line of a batch
)

// pathRunner evaluates expressions; it remembers compiled ones and contexts.
type pathRunner struct {
	terms    *terminology.Service
	profiles *pathProfiles
	compiled map[[2]string]*fhirpath.Expression
	contexts map[string]*fhir.Resource
}

func newPathRunner(paths ...string) (*pathRunner, error) {
	defs, err := readDefinitions(paths)
	if err != nil {
		return nil, err
	}
	terms, err := terminology.New(terminology.Options{Source: defs})
	if err != nil {
		return nil, err
	}
	return &pathRunner{terms: terms, profiles: &pathProfiles{validation.New(definition.Default()), profile.Checker{Source: defs, Terminology: terms}},
		compiled: map[[2]string]*fhirpath.Expression{}, contexts: map[string]*fhir.Resource{}}, nil
}

func (p *pathRunner) evaluate(ctx context.Context, expression, file string) (fhirpath.Collection, error) {
	c := fhirpath.Context{Terminology: p.terms, Profiles: p.profiles}
	typ := ""
	if file != "" {
		r, err := p.context(file)
		if err != nil {
			return nil, err
		}
		c.Focus, typ = fhirpath.Root(r), r.Type()
	}
	e, err := p.compile(typ, expression)
	if err != nil {
		return nil, err
	}
	return e.Evaluate(ctx, c)
}

func (p *pathRunner) compile(typ, expression string) (*fhirpath.Expression, error) {
	key := [2]string{typ, expression}
	if e := p.compiled[key]; e != nil {
		return e, nil
	}
	var e *fhirpath.Expression
	var err error
	if definition.Default().IsResource(typ) {
		e, err = fhirpath.CompileFor(typ, expression)
	} else {
		e, err = fhirpath.Compile(expression)
	}
	if err != nil {
		return nil, err
	}
	if len(p.compiled) >= maxPathExpressions {
		clear(p.compiled)
	}
	p.compiled[key] = e
	return e, nil
}

func (p *pathRunner) context(file string) (*fhir.Resource, error) {
	if r := p.contexts[file]; r != nil {
		return r, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, int64(fhir.DefaultLimits.MaxBytes)+1))
	if err != nil {
		return nil, err
	}
	r, err := fhir.Parse(bytes.TrimPrefix(data, []byte("\ufeff")), fhir.Limits{})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if len(p.contexts) >= maxPathContexts {
		clear(p.contexts)
	}
	p.contexts[file] = r
	return r, nil
}

func appendItem(dst []byte, item fhirpath.Item) []byte {
	dst = append(append(append(dst, `{"type":"`...), fhirpath.FHIRType(item)...), `","value":`...)
	return append(fhirpath.AppendJSON(dst, item), '}')
}

// batch answers each line before it reads the next.
func (p *pathRunner) batch(ctx context.Context, in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxPathLine)
	for lines.Scan() {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		answer, err := p.line(ctx, lines.Bytes())
		if err != nil {
			text, _ := json.Marshal(err.Error())
			answer = append(append([]byte(`{"error":`), text...), '}')
		}
		if _, err := out.Write(append(answer, '\n')); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return lines.Err()
}

func (p *pathRunner) line(ctx context.Context, line []byte) ([]byte, error) {
	var ask struct{ Expression, Context string }
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&ask); err != nil {
		return nil, errors.New(`the line is no {"expression":…,"context":FILE}`)
	}
	items, err := p.evaluate(ctx, ask.Expression, ask.Context)
	if err != nil {
		return nil, err
	}
	answer := []byte(`{"result":[`)
	for i, item := range items {
		if i > 0 {
			answer = append(answer, ',')
		}
		if answer = appendItem(answer, item); len(answer) > maxPathAnswer {
			return nil, fmt.Errorf("%w: an answer of more than %d bytes", fhirpath.ErrLimit, maxPathAnswer)
		}
	}
	return append(answer, "]}"...), nil
}

// pathProfiles knows the structures of the types of R4, to which a resource
// conforms when it is of the type and valid, and the profiles of --definitions.
type pathProfiles struct {
	validator *validation.Validator
	profiles  profile.Checker
}

// Conforms implements fhirpath.Profiles.
func (p *pathProfiles) Conforms(ctx context.Context, structure string, e *fhirpath.Element) (bool, error) {
	ok, err := p.profiles.Conforms(ctx, structure, e)
	if !ok || err != nil || e.Definition().Kind != definition.Resource {
		return ok, err
	}
	root := e.Node().Clone()
	dropComments(&root)
	r, err := fhir.NewResource(root)
	if err != nil {
		return false, err
	}
	return !p.validator.Validate(r).HasErrors(), nil
}

// dropComments removes the comments that converters from XML leave in JSON;
// they are no part of a resource.
func dropComments(n *fhir.Node) {
	const comments = "fhir_comments"
	n.Remove(comments)
	for i := n.Len() - 1; i >= 0; i-- {
		m := n.At(i)
		dropComments(m)
		if m.Kind() == fhir.Object && m.Len() == 0 && n.Kind() == fhir.Object {
			n.RemoveAt(i)
		}
	}
}

// Slice implements fhirpath.Profiles.
func (p *pathProfiles) Slice(ctx context.Context, structure, name string, e *fhirpath.Element) (bool, error) {
	return p.profiles.Slice(ctx, structure, name, e)
}
