package searchtest

import (
	"math"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/fieldseal/fieldseal/fhir/definition"
)

var reference = regexp.MustCompile(`^(?:(https?://.+)/)?([A-Z][A-Za-z]+)/([A-Za-z0-9.-]{1,64})(?:/_history/[A-Za-z0-9.-]+)?$`)

// referenceText is what a reference, canonical or inner resource names.
func (w *World) referenceText(e element) string {
	if e.typ.Name == "Reference" {
		return e.text("reference")
	}
	if typ := e.text("resourceType"); typ != "" {
		return typ + "/" + e.text("id")
	}
	return ""
}

// local is Type/id of a reference to this server, empty for others.
func (w *World) local(text string) string {
	m := reference.FindStringSubmatch(text)
	if m == nil || m[1] != "" && !slices.Contains(w.Bases, m[1]) || w.Definitions.Type(m[2]) == nil {
		return ""
	}
	return m[2] + "/" + m[3]
}

// acceptsReference is R4 search.html#reference.
func (q question) acceptsReference(e element) bool {
	text := plain(q.text)
	if q.modifier == "identifier" {
		for _, i := range e.under("identifier") {
			q := question{w: q.w, kind: "token", text: q.text}
			return slices.ContainsFunc(tokens(i), q.acceptsToken)
		}
		return false
	}
	if e.typ.Name != "Reference" && e.text("resourceType") == "" {
		return canonical(text, textOf(e.value))
	}
	asked := q.w.local(text)
	written := q.w.referenceText(e)
	if strings.HasPrefix(written, "#") {
		return false
	}
	have := q.w.local(written)
	switch q.modifier {
	case "above", "below":
		return q.recurses(text, have, written)
	case "":
	default:
		if asked == "" {
			asked = q.modifier + "/" + text
		}
	}
	switch {
	case asked != "":
		return have == asked
	case strings.Contains(text, ":"):
		return have == "" && written == text
	}
	typ, id, _ := strings.Cut(have, "/")
	return id == text && (len(q.sp.Target) == 0 || slices.Contains(q.sp.Target, typ))
}

// recurses walks partOf from the element's side (R4 search.html#recurse).
func (q question) recurses(text, have, written string) bool {
	same := func(ref string) bool { return ref == text || ref[strings.Index(ref, "/")+1:] == text }
	if have == "" {
		return written == text
	}
	if q.modifier == "below" {
		return slices.ContainsFunc(q.w.line(have), same)
	}
	for _, list := range q.w.byType { // have is above text when text's line holds it
		for _, r := range list {
			if same(r.Ref) && r.Type == have[:strings.Index(have, "/")] && slices.Contains(q.w.line(r.Ref), have) {
				return true
			}
		}
	}
	return same(have)
}

// line is a resource and what it is part of.
func (w *World) line(ref string) []string {
	line := []string{ref}
	for i := 0; i < len(line); i++ {
		r := w.byRef[line[i]]
		if r == nil {
			continue
		}
		for _, code := range []string{"partof", "part-of"} {
			if w.Definitions.SearchParameter(r.Type, code) == nil {
				continue
			}
			for _, to := range w.targets(r, code) {
				if strings.HasPrefix(to, r.Type+"/") && !slices.Contains(line, to) {
					line = append(line, to)
				}
			}
		}
	}
	return line
}

// canonical compares without the version when none is asked for (R4
// references.html#canonical).
func canonical(asked, have string) bool {
	return have == asked || strings.Contains(have, "|") && have[:strings.Index(have, "|")] == asked
}

// acceptsURI is R4 search.html#uri.
func (q question) acceptsURI(have string) bool {
	asked := plain(q.text)
	under := func(a, b string) bool {
		if strings.HasPrefix(a, "urn:") || strings.HasPrefix(b, "urn:") {
			return a == b
		}
		b = strings.TrimRight(b, "/")
		return a == b || strings.HasPrefix(a, b+"/")
	}
	switch q.modifier {
	case "below":
		return under(have, asked)
	case "above":
		return under(asked, have)
	}
	return canonical(asked, have)
}

// acceptsComposite: every component on this one element (R4
// search.html#composite).
func (q question) acceptsComposite(e element) bool {
	root := element{value: q.r.root, typ: q.w.Definitions.Type(q.r.Type)}
	parts := split(q.text, '$')
	for i, c := range q.sp.Components {
		var def *definition.SearchParameter
		for _, sp := range q.w.Definitions.AllSearchParameters() {
			if sp.URL == c.Definition {
				def = sp
			}
		}
		expression := c.Expression
		if q.sp.Code == "relationship" { // R4 has the two expressions exchanged
			expression = q.sp.Components[1-i].Expression
		}
		inner := question{w: q.w, r: q.r, sp: def, kind: def.Type, text: parts[i]}
		if !slices.ContainsFunc(q.w.eval(root, expression, []element{e}), inner.accepts) {
			return false
		}
	}
	return true
}

// acceptsNear measures the angle between two positions by their vectors.
func (q question) acceptsNear(e element) bool {
	parts, n := bars(q.text)
	vector := func(lat, long string) [3]float64 {
		a, _ := strconv.ParseFloat(lat, 64)
		b, _ := strconv.ParseFloat(long, 64)
		a, b = a*math.Pi/180, b*math.Pi/180
		return [3]float64{math.Cos(a) * math.Cos(b), math.Cos(a) * math.Sin(b), math.Sin(a)}
	}
	lat, okLat := e.member("latitude").(interface{ String() string })
	long, okLong := e.member("longitude").(interface{ String() string })
	if !okLat || !okLong {
		return false
	}
	v, u := vector(parts[0], parts[1]), vector(lat.String(), long.String())
	var square float64
	for i := range v {
		square += (v[i] - u[i]) * (v[i] - u[i])
	}
	most := 50.0
	if n > 2 {
		most, _ = strconv.ParseFloat(parts[2], 64)
	}
	if n > 3 && parts[3] == "m" {
		most /= 1000
	}
	return 2*math.Asin(math.Sqrt(square)/2)*6371.0088 <= most
}

// quantity is a span with its unit.
type quantity struct {
	span
	system, code, unit string
}

func quantities(e element) []quantity {
	q := quantity{system: e.text("system"), code: e.text("code"), unit: e.text("unit")}
	switch e.typ.Name {
	case "Range":
		q.span = rangeOf(e)
		for _, name := range []string{"high", "low"} {
			for _, end := range e.under(name) {
				if rational(end.member("value")) != nil {
					q.system, q.code, q.unit = end.text("system"), end.text("code"), end.text("unit")
				}
			}
		}
		if q.low == nil && q.high == nil {
			return nil
		}
		return []quantity{q}
	case "Money":
		if c := e.text("currency"); c != "" {
			q.system, q.code, q.unit = "urn:iso:std:iso:4217", c, c
		}
	}
	v := rational(e.member("value"))
	if v == nil {
		return nil
	}
	q.low, q.high = v, v
	switch e.text("comparator") { // the true value lies beyond (R4 datatypes.html#Quantity)
	case "<", "<=":
		q.low = nil
	case ">", ">=":
		q.high = nil
	}
	return []quantity{q}
}

// factors are UCUM units by dimension, in one unit of each: enough for what
// tests ask to be converted. An offset has no place here.
var factors = map[string]struct {
	dimension string
	in        string
}{
	"g": {"mass", "1"}, "mg": {"mass", "1e-3"}, "ug": {"mass", "1e-6"}, "kg": {"mass", "1e3"}, "[lb_av]": {"mass", "453.59237"}, "pg": {"mass", "1e-12"},
	"m": {"length", "1"}, "cm": {"length", "1e-2"}, "mm": {"length", "1e-3"}, "[in_i]": {"length", "0.0254"},
	"L": {"volume", "1"}, "dL": {"volume", "1e-1"}, "mL": {"volume", "1e-3"}, "fL": {"volume", "1e-15"},
	"g/L": {"density", "1"}, "mg/dL": {"density", "1e-2"}, "g/dL": {"density", "10"}, "mg/L": {"density", "1e-3"},
	"mmol/L": {"concentration", "1e-3"}, "mol/L": {"concentration", "1"}, "umol/L": {"concentration", "1e-6"},
	// A mole is a number (UCUM §30): cells in a volume have the same dimension.
	"10*3/uL": {"concentration", "1000000000/602214076000000000000000"}, "10*6/uL": {"concentration", "1000000000000/602214076000000000000000"},
	"mm[Hg]": {"pressure", "133.322"}, "Pa": {"pressure", "1"}, "kPa": {"pressure", "1e3"},
	"/min": {"rate", "1"}, "/h": {"rate", "1/60"}, "%": {"one", "1e-2"}, "1": {"one", "1"}, "{score}": {"one", "1"},
}

// acceptsQuantity is R4 search.html#quantity.
func (q question) acceptsQuantity(v quantity) bool {
	parts, n := bars(q.text)
	switch {
	case n == 1, parts[1] == "" && (v.code == parts[2] || v.unit == parts[2]), parts[1] != "" && v.system == parts[1] && v.code == parts[2]:
		return acceptsNumber(parts[0], one, v.span)
	case parts[1] != "http://unitsofmeasure.org" || v.system != parts[1]:
		return false
	}
	asked, known := factors[parts[2]]
	have, also := factors[v.code]
	if !known || !also || asked.dimension != have.dimension {
		return false
	}
	a, _ := new(big.Rat).SetString(asked.in)
	h, _ := new(big.Rat).SetString(have.in)
	return acceptsNumber(parts[0], a.Quo(a, h), v.span)
}
