package searchtest

import (
	"context"
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
