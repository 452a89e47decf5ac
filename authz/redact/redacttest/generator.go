package redacttest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/fieldseal/fieldseal/fhir/definition"
)

// Generator makes resources that follow the definitions in shape, not in sense:
// every text in them is another, so that none can be taken for another.
type Generator struct {
	r    *Reference
	rng  *rand.Rand
	urls []string
	n    int
}

// NewGenerator returns a generator that repeats itself for the same seed.
func (r *Reference) NewGenerator(seed uint64) *Generator {
	g := &Generator{r: r, rng: rand.New(rand.NewPCG(seed, 7))} // #nosec G404 -- reproducible test data
	for url := range r.extensions {
		g.urls = append(g.urls, url)
	}
	slices.Sort(g.urls)
	return g
}

// Mask draws a mask of some classes.
func (g *Generator) Mask() Mask {
	m := Mask{}
	for _, c := range Classes {
		m[c] = g.rng.IntN(3) > 0
	}
	m["administrative"] = m["administrative"] || !g.one(4)
	m["restricted"] = m["restricted"] || g.one(3) // unknown modifierExtensions are everywhere
	return m
}

func (g *Generator) one(n int) bool { return g.rng.IntN(n) == 0 }

func (g *Generator) word() string {
	g.n++
	return fmt.Sprintf("w%d-%x", g.n, g.rng.Uint32())
}

// Resource is a resource of the type as the server stores it: meta first, with a
// version and its time.
func (g *Generator) Resource(typ, id string) []byte {
	unknown, meta := "", `"versionId":"1","lastUpdated":"2020-01-02T03:04:05.678Z"`
	if g.one(3) {
		meta += `,"profile":["urn:` + g.word() + `"]`
	}
	if g.one(4) {
		meta += `,"extension":[` + g.extension() + `]`
	}
	if g.one(8) {
		unknown = `,"unknown` + g.word() + `":[` + g.primitive("decimal") + `,"` + g.word() + `"]`
	}
	if g.one(6) {
		meta += `,"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]`
	}
	return []byte(`{"resourceType":"` + typ + `","id":"` + id + `","meta":{` + meta + `}` + g.members(g.r.defs.Type(typ), 5) + unknown + `}`)
}

// members are the elements of an object, each with a comma before it.
func (g *Generator) members(t *definition.Type, depth int) string {
	var b strings.Builder
	for _, e := range t.Elements {
		if e.Name == "meta" && t.Kind == definition.Resource || e.Name == "id" && t.Kind == definition.Resource {
			continue
		}
		if e.Min == 0 && !g.one(1+len(t.Elements)/6) || depth == 0 && e.Min == 0 {
			continue
		}
		ref := e.Types[g.rng.IntN(len(e.Types))]
		switch {
		case ref.Code == "Extension":
			fmt.Fprintf(&b, `,"%s":[%s]`, e.Name, g.list(1+g.rng.IntN(2), g.extension))
		case ref.Type.Abstract && ref.Type.Kind == definition.Resource:
			b.WriteString(g.within(e, depth))
		default:
			b.WriteString(g.element(e, ref, depth))
		}
	}
	return b.String()
}

func (g *Generator) list(n int, item func() string) string {
	items := make([]string, n)
	for i := range items {
		items[i] = item()
	}
	return strings.Join(items, ",")
}

// within is a resource inside another: Patients more often than others, because
// of their stand-ins.
func (g *Generator) within(e *definition.Element, depth int) string {
	if depth < 4 {
		return ""
	}
	names := g.r.defs.ResourceTypes()
	item := func() string {
		typ := "Patient"
		if !g.one(2) {
			typ = names[g.rng.IntN(len(names))]
		}
		if t := g.r.defs.Type(typ); !t.Abstract && typ != "Bundle" && typ != "Parameters" {
			return `{"resourceType":"` + typ + `","id":"c` + strconv.Itoa(g.rng.IntN(3)) + `"` + g.members(t, depth-3) + `}`
		}
		return `{"resourceType":"Patient","id":"c0","birthDate":"1970-02-03","active":true}`
	}
	if e.Max == 1 {
		return `,"` + e.Name + `":` + item()
	}
	return `,"` + e.Name + `":[` + g.list(1+g.rng.IntN(2), item) + `]`
}

func (g *Generator) element(e *definition.Element, ref definition.TypeRef, depth int) string {
	name, n := jsonName(e, ref), 1
	if e.Max != 1 {
		n += g.rng.IntN(3)
	}
	wrap := func(name string, items []string) string {
		text := strings.Join(items, ",")
		if e.Max != 1 {
			text = "[" + text + "]"
		}
		return `,"` + name + `":` + text
	}
	var values, siblings []string
	sibling := false
	for range n {
		if ref.Type.Kind != definition.Primitive {
			if inner := g.members(ref.Type, depth-1); inner != "" {
				values = append(values, "{"+inner[1:]+"}")
			}
			continue
		}
		v, s := g.primitive(ref.Type.Name), "null"
		if g.one(5) {
			s, sibling = `{"extension":[`+g.extension()+`]}`, true
			if g.one(3) {
				s = `{"id":"` + g.word() + `",` + s[1:]
			}
			if e.Max != 1 && g.one(3) {
				v = "null"
			}
		}
		values, siblings = append(values, v), append(siblings, s)
	}
	if len(values) == 0 {
		return ""
	}
	text := wrap(name, values)
	if sibling {
		text += wrap("_"+name, siblings)
	}
	if g.one(400) {
		text += `,"unknown` + g.word() + `":"` + g.word() + `"`
	}
	return text
}

// extension has a URL of the table or an unknown one, and sometimes others inside.
func (g *Generator) extension() string {
	url := "urn:" + g.word()
	if g.one(2) {
		url = g.urls[g.rng.IntN(len(g.urls))]
	}
	if g.one(4) {
		return `{"url":"` + url + `","extension":[` + g.extension() + `]}`
	}
	value := [...]string{`"valueString":"` + g.word() + `"`, `"valueDecimal":1.500`, `"valueBoolean":true`, `"valueReference":{"reference":"#c0","display":"` + g.word() + `"}`}
	return `{"url":"` + url + `",` + value[g.rng.IntN(len(value))] + `}`
}

func (g *Generator) primitive(typ string) string {
	switch typ {
	case "boolean":
		return strconv.FormatBool(g.one(2))
	case "integer", "positiveInt", "unsignedInt":
		return strconv.Itoa(1 + g.rng.IntN(1e6))
	case "decimal":
		return [...]string{"1.50", "0.00", "1e3", "-7", "12345678901234567890.123456789"}[g.rng.IntN(5)]
	case "date":
		return `"` + strconv.Itoa(1900+g.rng.IntN(120)) + [...]string{"", "-05", "-05-06"}[g.rng.IntN(3)] + `"`
	case "dateTime", "instant":
		return `"` + strconv.Itoa(1900+g.rng.IntN(120)) + `-05-06T07:08:09.10+02:00"`
	case "time":
		return `"10:20:30"`
	case "xhtml":
		return `"<div xmlns=\"http://www.w3.org/1999/xhtml\">` + g.word() + `</div>"`
	}
	if g.one(6) {
		return [...]string{`"#c0"`, `"#c1"`, `"#"`, `"ü\u00e4\t` + g.word() + `"`}[g.rng.IntN(4)]
	}
	return `"` + g.word() + `"`
}
