package search_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/fhirtest"
	"github.com/fieldseal/fieldseal/fhir/search"
)

// operandsFor makes escaped operands that must find the value, each with its
// modifier.
func operandsFor(p *search.Parameter, v *search.Value) (found [][2]string) {
	add := func(modifier string, parts ...string) {
		for i, s := range parts {
			parts[i] = strings.NewReplacer(`\`, `\\`, `,`, `\,`, `|`, `\|`, `$`, `\$`).Replace(s)
		}
		found = append(found, [2]string{modifier, strings.Join(parts, "|")})
	}
	switch p.Kind {
	case search.Number, search.QuantityKind:
		numericOperands(v, add)
	case search.Date:
		if v.From != search.Beginning {
			add("", "ge"+micro(v.From))
			add("", "sa"+micro(v.From-1))
		}
		if v.Until != search.EndOfTime {
			add("", "le"+micro(v.Until-1))
			add("", "eb"+micro(v.Until))
		}
	case search.String:
		if search.Fold(v.Text) != "" {
			add("", v.Text)
			add(":exact", v.Text)
			add(":contains", v.Text)
		}
	case search.TokenKind:
		if p.Code == search.ID { // has no system, and its form refuses one
			add("", v.Code)
			break
		}
		tokenOperands(v, add)
	case search.ReferenceKind:
		switch {
		case v.ID != "":
			add("", v.Type+"/"+v.ID)
			if slices.Contains(p.Targets, v.Type) {
				add("", v.ID)
			}
		case v.URL != "":
			if strings.ContainsAny(v.URL, ":") && !strings.ContainsAny(v.URL, " \n") {
				add("", v.URL)
			}
		}
		if v.Identifier != nil {
			add(":identifier", v.Identifier.System, v.Identifier.Code)
		}
	case search.URI:
		add("", v.Text)
	case search.Special:
		add("", strconv.FormatFloat(v.Latitude, 'f', -1, 64), strconv.FormatFloat(v.Longitude, 'f', -1, 64), "1")
	}
	return found
}

func numericOperands(v *search.Value, add func(string, ...string)) {
	switch {
	case v.Low != nil && v.Low == v.High && v.Low.Exponent > -60:
		number := v.Low.String()
		add("", number)
		add("", "ap"+number)
		if v.Code != "" {
			add("", number, "", v.Code)
		}
		if v.System != "" && v.Code != "" {
			add("", number, v.System, v.Code)
		}
	case v.Low != nil:
		add("", "le"+v.Low.String()+"1")
	case v.High != nil:
		add("", "lt"+v.High.String())
	}
}

func tokenOperands(v *search.Value, add func(string, ...string)) {
	if v.Code != "" {
		add("", v.Code)
		add("", v.System, v.Code)
	}
	if v.System != "" {
		add("", v.System, "")
	}
	for _, s := range v.Texts {
		if search.Fold(s) != "" {
			add(":text", s)
		}
	}
	for _, c := range v.OfType {
		if c.System != "" && c.Code != "" && v.Code != "" {
			add(":of-type", c.System, c.Code, v.Code)
		}
	}
}

func micro(t int64) string { return time.UnixMicro(t).UTC().Format("2006-01-02T15:04:05.000000Z") }

// compositeOperand joins the first operand of every part.
func compositeOperand(p *search.Parameter, v *search.Value) [][2]string {
	var parts []string
	for i, c := range p.Components {
		ops := operandsFor(c, &v.Parts[i][0])
		if len(ops) == 0 || ops[0][0] != "" {
			return nil
		}
		parts = append(parts, ops[0][1])
	}
	return [][2]string{{"", strings.Join(parts, "$")}}
}

// What extraction finds in the official examples and in Synthea's resources,
// a query made of it finds: the parser, the matcher and the extraction agree on
// every value of every parameter that occurs.
func TestMatchFindsEveryExtractedValue(t *testing.T) {
	t.Parallel()
	c := r4Catalog(t)
	m := search.Matcher{Catalog: c, Now: noon}
	queries := 0
	check := func(p *search.Parameter, r *fhir.Resource, modifier, operand string) {
		if len(operand) > search.MaxValueBytes {
			return
		}
		query := p.Code + modifier + "=" + percent(operand)
		s, err := c.ParseSearch([]string{r.Type()}, query, search.ParseOptions{})
		if err != nil {
			t.Errorf("%s/%s %s%s: %v", r.Type(), r.ID(), p.Code, modifier, err)
			return
		}
		queries++
		if ok, err := m.Match(t.Context(), s.Expressions[0], r); err != nil || !ok {
			t.Errorf("%s/%s %s%s: own value is not found: %v, %v", r.Type(), r.ID(), p.Code, modifier, ok, err)
		}
	}
	for r := range exampleResources(t) {
		for _, p := range c.Parameters(r.Type()) {
			var values []search.Value
			c.Extract(p, r, func(v *search.Value) bool { values = append(values, *v); return len(values) < 5 })
			for i := range values {
				operands := operandsFor(p, &values[i])
				if p.Kind == search.Composite {
					operands = compositeOperand(p, &values[i])
				}
				for _, o := range operands {
					check(p, r, o[0], o[1])
				}
			}
			if p.Kind != search.Composite {
				check(p, r, ":missing", strconv.FormatBool(len(values) == 0))
			}
		}
	}
	if queries < 20_000 {
		t.Errorf("only %d queries", queries)
	}
}

// percent encodes every byte.
func percent(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		fmt.Fprintf(&b, "%%%02X", s[i])
	}
	return b.String()
}

func exampleResources(t *testing.T) func(func(*fhir.Resource) bool) {
	return func(yield func(*fhir.Resource) bool) {
		for _, data := range fhirtest.Examples(t) {
			if !yield(parsed(t, string(data))) {
				return
			}
		}
		for _, data := range fhirtest.Synthea(t) {
			var bundle struct {
				Entry []struct{ Resource json.RawMessage }
			}
			if err := json.Unmarshal(data, &bundle); err != nil {
				t.Fatal(err)
			}
			for _, e := range bundle.Entry[:min(60, len(bundle.Entry))] {
				if !yield(parsed(t, string(e.Resource))) {
					return
				}
			}
		}
	}
}
