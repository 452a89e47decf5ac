package searchtest

import (
	"context"
	"math"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/fieldseal/fieldseal/fhir/definition"
)

// question is one alternative of one condition.
type question struct {
	w                    *World
	r                    *Resource
	sp                   *definition.SearchParameter
	kind, modifier, text string
}

// Escapes are hidden in private-use runes while a value is split.
var (
	hide   = strings.NewReplacer(`\\`, "\ue000", `\,`, "\ue001", `\|`, "\ue002", `\$`, "\ue003")
	reveal = strings.NewReplacer("\ue000", `\`, "\ue001", `,`, "\ue002", `|`, "\ue003", `$`)
	keep   = strings.NewReplacer("\ue000", `\\`, "\ue001", `\,`, "\ue002", `\|`, "\ue003", `\$`)
)

// split cuts at separators that are not escaped; the parts stay escaped (R4
// search.html#escaping).
func split(s string, sep rune) []string {
	parts := strings.Split(hide.Replace(s), string(sep))
	for i := range parts {
		parts[i] = keep.Replace(parts[i])
	}
	return parts
}

func plain(s string) string { return reveal.Replace(hide.Replace(s)) }

// bars are the parts of a value with | between, and how many there are.
func bars(s string) (parts [4]string, n int) {
	list := split(s, '|')
	for i, p := range list {
		parts[i] = plain(p)
	}
	return parts, len(list)
}

// accepts compares one element.
func (q question) accepts(e element) bool {
	switch q.kind {
	case "number":
		return slices.ContainsFunc(numbers(e), func(s span) bool { return acceptsNumber(q.text, one, s) })
	case "date":
		return slices.ContainsFunc(times(e), q.acceptsDate)
	case "string":
		return slices.ContainsFunc(textsOf(e), q.acceptsString)
	case "token":
		return slices.ContainsFunc(tokens(e), q.acceptsToken)
	case "reference":
		return q.acceptsReference(e)
	case "quantity":
		return slices.ContainsFunc(quantities(e), q.acceptsQuantity)
	case "uri":
		return q.acceptsURI(textOf(e.value))
	case "composite":
		return q.acceptsComposite(e)
	case "special":
		return q.acceptsNear(e)
	}
	panic("kind " + q.kind)
}

// valued reports whether an element is a value at all: for :missing.
func (w *World) valued(kind string, e element) bool {
	switch kind {
	case "number":
		return len(numbers(e)) > 0
	case "date":
		return len(times(e)) > 0
	case "string":
		return len(textsOf(e)) > 0
	case "token":
		return len(tokens(e)) > 0
	case "reference":
		return e.typ.Name != "Reference" || !strings.HasPrefix(e.text("reference"), "#") &&
			(e.text("reference") != "" || e.member("identifier") != nil || e.text("display") != "")
	case "quantity":
		return len(quantities(e)) > 0
	case "special":
		return e.member("latitude") != nil && e.member("longitude") != nil
	}
	return textOf(e.value) != ""
}

func numbers(e element) []span {
	if e.typ.Name == "Range" {
		if s := rangeOf(e); s.low != nil || s.high != nil {
			return []span{s}
		}
		return nil
	}
	if r := rational(e.value); r != nil {
		return []span{{r, r}}
	}
	return nil
}

// textsOf are the texts of a string, or of the parts of a name or address (R4
// search.html#string).
func textsOf(e element) (all []string) {
	if s := textOf(e.value); s != "" {
		return []string{s}
	}
	m, _ := e.value.(map[string]any)
	for name, v := range m {
		if name == "use" || name == "type" || name == "period" || strings.HasPrefix(name, "_") || name == "extension" || name == "id" {
			continue
		}
		if s := textOf(v); s != "" {
			all = append(all, s)
		}
		list, _ := v.([]any)
		for _, v := range list {
			if s := textOf(v); s != "" {
				all = append(all, s)
			}
		}
	}
	return all
}

var (
	dropped = regexp.MustCompile("['’‘ʼ`´.\\p{M}]")
	spaces  = regexp.MustCompile(`[\s\p{P}\p{Cc}]+`)
	letters = strings.NewReplacer("ß", "ss", "æ", "ae", "œ", "oe", "þ", "th", "ø", "o", "đ", "d", "ð", "d", "ł", "l", "ħ", "h", "ı", "i", "ς", "σ")
)

// fold drops case, accents and punctuation (R4 search.html#string).
func fold(s string) string {
	s = norm.NFKD.String(strings.ReplaceAll(s, "´", ""))
	s = dropped.ReplaceAllString(s, "")
	s = strings.Map(unicode.ToLower, s)
	return strings.TrimSpace(spaces.ReplaceAllString(letters.Replace(s), " "))
}

func (q question) acceptsString(s string) bool {
	text := plain(q.text)
	switch q.modifier {
	case "exact":
		return s == text
	case "contains":
		return strings.Contains(fold(s), fold(text))
	}
	return strings.HasPrefix(fold(s), fold(text))
}

// token is a coded value. A code element has the system of its definition,
// which need not be named.
type token struct {
	system, code string
	implied      bool
	exact        bool // case tells
	texts        []string
	types        [][2]string
}

func tokens(e element) (all []token) {
	switch e.typ.Name {
	case "boolean":
		b, ok := e.value.(bool)
		if !ok {
			return nil
		}
		return []token{{system: "http://terminology.hl7.org/CodeSystem/special-values", code: strconv.FormatBool(b), implied: true, exact: true}}
	case "Coding":
		return coding(e, "")
	case "CodeableConcept":
		for _, c := range e.under("coding") {
			all = append(all, coding(c, e.text("text"))...)
		}
		if len(e.under("coding")) == 0 && e.text("text") != "" {
			all = append(all, token{texts: []string{e.text("text")}})
		}
		return all
	case "Identifier":
		t := token{system: e.text("system"), code: e.text("value"), exact: true}
		for _, typ := range e.under("type") {
			t.texts = append(t.texts, typ.text("text"))
			for _, c := range typ.under("coding") {
				t.types = append(t.types, [2]string{c.text("system"), c.text("code")})
			}
		}
		if t.system == "" && t.code == "" {
			return nil
		}
		return []token{t}
	case "ContactPoint":
		if e.text("value") == "" {
			return nil
		}
		return []token{{system: e.text("use"), code: e.text("value")}}
	}
	if textOf(e.value) == "" {
		return nil
	}
	t := token{code: textOf(e.value), exact: true}
	if t.implied = e.typ.Name == "code"; t.implied && e.def.Binding != nil && e.def.Binding.Codes != nil {
		if systems := e.def.Binding.Codes.Systems(); len(systems) == 1 {
			t.system = systems[0]
		}
	}
	if e.typ.Name == "string" {
		t.exact = false
	}
	return []token{t}
}

func coding(e element, text string) []token {
	t := token{system: e.text("system"), code: e.text("code"), texts: []string{e.text("display"), text}}
	if t.system == "" && t.code == "" && t.texts[0] == "" {
		return nil
	}
	for _, sensitive := range []string{"http://unitsofmeasure.org", "http://hl7.org/fhir/", "http://terminology.hl7.org/CodeSystem/v3-"} {
		t.exact = t.exact || strings.HasPrefix(t.system, sensitive)
	}
	return []token{t}
}

// acceptsToken is R4 search.html#token.
func (q question) acceptsToken(t token) bool {
	parts, n := bars(q.text)
	switch q.modifier {
	case "text":
		return slices.ContainsFunc(t.texts, func(s string) bool { return s != "" && strings.HasPrefix(fold(s), fold(plain(q.text))) })
	case "of-type":
		return t.code == parts[2] && slices.Contains(t.types, [2]string{parts[0], parts[1]})
	case "in":
		return t.code != "" && q.decide(q.w.Terminology.Contains(context.Background(), plain(q.text), t.system, t.code))
	}
	system, code, named := "", parts[0], n == 2
	if named {
		system, code = parts[0], parts[1]
	}
	if named && system == "" && t.system != "" && !t.implied || named && system != "" && t.system != system {
		return false
	}
	if code == "" {
		return true
	}
	same := t.code == code || !t.exact && strings.EqualFold(t.code, code)
	switch {
	case same || t.code == "" || t.system == "":
		return same
	case q.modifier == "below":
		return q.decide(q.w.Terminology.Subsumes(context.Background(), t.system, code, t.code))
	case q.modifier == "above":
		return q.decide(q.w.Terminology.Subsumes(context.Background(), t.system, t.code, code))
	}
	return false
}

func (q question) decide(yes bool, err error) bool {
	if err != nil {
		panic(Undecided{err})
	}
	return yes
}

// Undecided is what Answer panics with when the terminology cannot tell.
type Undecided struct{ Err error }

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
