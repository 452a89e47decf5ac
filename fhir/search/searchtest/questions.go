package searchtest

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"net/url"
	"strings"
	"time"

	"github.com/fieldseal/fieldseal/fhir/definition"
)

// Questions draws searches of every kind from what a world holds, so that most
// of them match something.
type Questions struct {
	w       *World
	rng     *rand.Rand
	all     []*Resource
	origins map[string][]origin
	// Asks, when set, says which parameters may be asked.
	Asks func(typ, code string) bool
}

// origin is where a reference to a resource stands.
type origin struct {
	from *Resource
	code string
}

// NewQuestions reads the world; it must not grow afterwards.
func NewQuestions(w *World, seed uint64) *Questions {
	q := &Questions{w: w, rng: rand.New(rand.NewPCG(seed, 1)), all: w.All(), origins: map[string][]origin{}} // #nosec G404 -- reproducible test data
	for _, r := range q.all {
		for _, sp := range w.Definitions.SearchParameters(r.Type) {
			if sp.Type != "reference" || sp.Expression == "" {
				continue
			}
			for _, to := range w.targets(r, sp.Code) {
				if w.byRef[to] != nil {
					q.origins[to] = append(q.origins[to], origin{r, sp.Code})
				}
			}
		}
	}
	return q
}

func pick[T any](q *Questions, from []T) T { return from[q.rng.IntN(len(from))] }

// one in n.
func (q *Questions) one(n int) bool { return q.rng.IntN(n) == 0 }

// Next is a search.
func (q *Questions) Next() string {
	r := pick(q, q.all)
	path, prefix := r.Type, ""
	var allowed []string
	switch q.rng.IntN(12) {
	case 0:
		if code, id, ok := q.compartment(r); ok {
			if path = code + "/" + id + "/" + r.Type; q.one(3) {
				path, allowed = code+"/"+id+"/*", common
			}
		}
	case 1:
		path, prefix, allowed = "", "&_type="+r.Type+","+pick(q, q.all).Type, common
		if before, after, _ := strings.Cut(prefix[len("&_type="):], ","); before == after {
			prefix = "&_type=" + before
		}
	}
	query := prefix
	for n := 1 + q.rng.IntN(3); n > 0; {
		if c := q.condition(r, 2, allowed); c != "" {
			query += "&" + c
			n--
		}
	}
	return path + "?" + (query + q.shape(r, allowed))[1:]
}

// common are parameters of every type.
var common = []string{"_id", "_lastUpdated", "_profile", "_tag", "_source", "_security"}

func (q *Questions) compartment(r *Resource) (code, id string, ok bool) {
	for range 10 {
		c := pick(q, q.w.Definitions.Compartments())
		for _, param := range c.Params(r.Type) {
			if param == "{def}" && r.Type == c.Code {
				return c.Code, r.ID, true
			}
			if param == "{def}" || q.w.Definitions.SearchParameter(r.Type, param) == nil {
				continue
			}
			for _, to := range q.w.targets(r, param) {
				if id, is := strings.CutPrefix(to, c.Code+"/"); is {
					return c.Code, id, true
				}
			}
		}
	}
	return "", "", false
}

// shape adds what orders, pages and follows.
func (q *Questions) shape(r *Resource, allowed []string) (s string) {
	if !q.one(6) { // small pages of many matches cost much and show little
		s += fmt.Sprintf("&_count=%d", pick(q, []int{17, 60, 300, 1000}))
	}
	if q.one(4) {
		s += "&_total=accurate"
	}
	if q.one(4) {
		var keys []string
		for range 1 + q.rng.IntN(2) {
			if sp := q.parameter(r, allowed); sp != nil && sp.Type != "composite" && sp.Type != "special" && sp.Type != "quantity" {
				keys = append(keys, pick(q, []string{"", "-"})+sp.Code)
			}
		}
		if len(keys) > 0 && (allowed == nil || len(keys) > 0) {
			s += "&_sort=" + strings.Join(keys, ",")
		}
	}
	if q.one(5) {
		s += q.includes(r)
	}
	return s
}

func (q *Questions) includes(r *Resource) (s string) {
	if o := q.origins[r.Ref]; len(o) > 0 && q.one(2) {
		from := pick(q, o)
		return "&_revinclude" + pick(q, []string{"", ":iterate"}) + "=" + from.from.Type + ":" + from.code
	}
	for range 5 {
		sp := q.parameter(r, nil)
		if sp == nil || sp.Type != "reference" {
			continue
		}
		s += "&_include=" + r.Type + ":" + sp.Code
		for _, to := range q.w.targets(r, sp.Code) {
			if next := q.w.byRef[to]; next != nil && q.one(2) {
				if sp := q.parameter(next, nil); sp != nil && sp.Type == "reference" {
					s += "&_include:iterate=" + next.Type + ":" + sp.Code
				}
			}
		}
		return s
	}
	return pick(q, []string{"", "&_include=*", "&_include=" + r.Type + ":*"})
}

// parameter is one that finds something in the resource, mostly.
func (q *Questions) parameter(r *Resource, allowed []string) *definition.SearchParameter {
	for range 20 {
		sp := pick(q, q.w.Definitions.SearchParameters(r.Type))
		if allowed != nil {
			sp = q.w.Definitions.SearchParameter(r.Type, pick(q, allowed))
		}
		if sp.Expression == "" || q.Asks != nil && !q.Asks(r.Type, sp.Code) {
			continue
		}
		if q.one(10) || len(q.w.elements(r, sp.Code)) > 0 {
			return sp
		}
	}
	return nil
}

// condition asks for something that the resource has, or nearly has.
func (q *Questions) condition(r *Resource, hops int, allowed []string) string {
	sp := q.parameter(r, allowed)
	if sp == nil {
		return ""
	}
	found := q.w.elements(r, sp.Code)
	switch roll := q.rng.IntN(20); {
	case roll == 0 && sp.Type != "composite":
		return sp.Code + ":missing=" + pick(q, []string{"true", "false"})
	case hops > 0 && roll < 3 && allowed == nil:
		if o := q.origins[r.Ref]; len(o) > 0 {
			from := pick(q, o)
			if inner := q.condition(from.from, hops-1, nil); inner != "" && (q.Asks == nil || q.Asks(from.from.Type, from.code)) {
				return "_has:" + from.from.Type + ":" + from.code + ":" + inner
			}
		}
	case len(found) == 0:
		return ""
	case hops > 0 && roll < 8 && sp.Type == "reference" && allowed == nil:
		if c := q.chain(r, sp, hops); c != "" {
			return c
		}
	}
	if len(found) == 0 {
		return ""
	}
	modifier, text := q.operand(sp, r, pick(q, found))
	if text == "" {
		return ""
	}
	for modifier == "" && q.one(4) {
		if m, more := q.operand(sp, r, pick(q, found)); m == "" && more != "" {
			text += "," + more
		}
	}
	if modifier != "" {
		modifier = ":" + modifier
	}
	return sp.Code + modifier + "=" + url.QueryEscape(text)
}

func (q *Questions) chain(r *Resource, sp *definition.SearchParameter, hops int) string {
	targets := q.w.targets(r, sp.Code)
	if len(targets) == 0 {
		return ""
	}
	to := q.w.byRef[pick(q, targets)]
	if to == nil {
		return ""
	}
	inner := q.condition(to, hops-1, nil)
	if inner == "" {
		return ""
	}
	if len(sp.Target) > 0 && len(sp.Target) < 4 && q.Asks == nil && q.one(3) {
		return sp.Code + "." + inner
	}
	return sp.Code + ":" + to.Type + "." + inner
}

var escaper = strings.NewReplacer(`\`, `\\`, `,`, `\,`, `|`, `\|`, `$`, `\$`)

func escape(s string) string { return escaper.Replace(s) }

// operand is a value as a query writes it, with a modifier now and then.
func (q *Questions) operand(sp *definition.SearchParameter, r *Resource, e element) (modifier, text string) {
	switch sp.Type {
	case "number":
		if s := numbers(e); len(s) > 0 {
			return "", q.number(pick(q, s))
		}
	case "date":
		if t := times(e); len(t) > 0 {
			text := q.date(pick(q, t))
			if sp.Code == "_lastUpdated" { // too near to now for ap
				text = strings.TrimPrefix(text, "ap")
			}
			return "", text
		}
	case "string":
		if s := textsOf(e); len(s) > 0 {
			return q.text(pick(q, s))
		}
	case "token":
		if t := tokens(e); len(t) > 0 {
			return q.token(sp, e, pick(q, t))
		}
	case "reference":
		return q.reference(sp, e)
	case "quantity":
		if v := quantities(e); len(v) > 0 {
			return "", q.quantity(pick(q, v))
		}
	case "uri":
		if s := textOf(e.value); s != "" && !q.one(3) || strings.HasPrefix(s, "urn:") {
			return "", escape(s)
		} else if s != "" {
			return pick(q, []string{"below", "above"}), escape(s)
		}
	case "special":
		lat, long := rational(e.member("latitude")), rational(e.member("longitude"))
		if lat != nil && long != nil {
			return "", lat.FloatString(5) + "|" + new(big.Rat).Add(long, big.NewRat(1, 100)).FloatString(5) + "|" + pick(q, []string{"1", "2|km", "5000|m", "60|"})
		}
	case "composite":
		return "", q.composite(sp, r, e)
	}
	return "", ""
}

var prefixes = []string{"", "", "", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"}

func (q *Questions) number(s span) string {
	n := s.low
	if n == nil || s.high != nil && q.one(2) {
		n = s.high
	}
	places := 0
	for places < 9 && !new(big.Rat).Mul(n, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(places)), nil))).IsInt() {
		places++
	}
	switch q.rng.IntN(5) {
	case 0:
		places = max(0, places-1)
	case 1:
		places++
	case 2:
		n = new(big.Rat).Add(n, big.NewRat(int64(q.rng.IntN(3)-1), 1))
	}
	return pick(q, prefixes) + n.FloatString(places)
}

func (q *Questions) quantity(v quantity) string {
	text := q.number(v.span)
	units := []string{""}
	if v.code != "" && v.system != "" {
		units = append(units, "|"+escape(v.system)+"|"+escape(v.code), "||"+escape(v.code))
	}
	if v.unit != "" {
		units = append(units, "||"+escape(v.unit))
	}
	if have, ok := factors[v.code]; ok && v.system == "http://unitsofmeasure.org" && q.one(2) {
		for code, other := range factors {
			if other.dimension != have.dimension {
				continue
			}
			h, _ := new(big.Rat).SetString(have.in)
			o, _ := new(big.Rat).SetString(other.in)
			factor := h.Quo(h, o)
			s := span{}
			if v.low != nil {
				s.low = new(big.Rat).Mul(v.low, factor)
			}
			if v.high != nil {
				s.high = new(big.Rat).Mul(v.high, factor)
			}
			return q.number(s) + "|http://unitsofmeasure.org|" + code
		}
	}
	return text + pick(q, units)
}

func (q *Questions) date(t interval) string {
	at := t.low
	if at.Equal(always) || q.one(3) && !t.high.Equal(never) {
		at = t.high
	}
	at = at.UTC().AddDate(0, 0, q.rng.IntN(3)-1)
	layout := pick(q, []string{"2006", "2006-01", "2006-01-02", "2006-01-02", "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05.000Z07:00"})
	if q.one(3) {
		at = at.In(time.FixedZone("", (q.rng.IntN(20)-10)*3600))
	}
	return pick(q, prefixes) + at.Format(layout)
}

func (q *Questions) text(s string) (modifier, text string) {
	rs := []rune(s)
	part := string(rs[:1+q.rng.IntN(len(rs))])
	switch q.rng.IntN(6) {
	case 0:
		return "exact", escape(s)
	case 1:
		part = string(rs[len(rs)/3 : len(rs)/3+1+(len(rs)-len(rs)/3-1)/2])
		modifier = "contains"
	case 2:
		part = strings.ToUpper(part)
	}
	if fold(part) == "" {
		return "exact", escape(s)
	}
	return modifier, escape(part)
}

func (q *Questions) token(sp *definition.SearchParameter, e element, t token) (modifier, text string) {
	forms := []string{}
	if t.code != "" {
		forms = append(forms, escape(t.code), "|"+escape(t.code))
		if t.system != "" {
			forms = append(forms, escape(t.system)+"|"+escape(t.code))
		}
		if !t.exact {
			forms = append(forms, escape(strings.ToUpper(t.code)))
		}
	}
	if t.system != "" && sp.Code != "_id" {
		forms = append(forms, escape(t.system)+"|")
	}
	if sp.Code == "_id" {
		return pick(q, []string{"", "", "not"}), t.code
	}
	switch q.rng.IntN(8) {
	case 0:
		if len(t.texts) > 0 && fold(t.texts[0]) != "" {
			return "text", escape(t.texts[0][:len(t.texts[0])])
		}
	case 1:
		if len(t.types) > 0 && t.types[0][0] != "" && t.types[0][1] != "" && t.code != "" {
			return "of-type", escape(t.types[0][0]) + "|" + escape(t.types[0][1]) + "|" + escape(t.code)
		}
	case 2:
		if e.def != nil && e.def.Binding != nil && e.def.Binding.ValueSet != "" {
			url, _, _ := strings.Cut(e.def.Binding.ValueSet, "|")
			return pick(q, []string{"in", "not-in"}), escape(url)
		}
	case 3:
		if t.system != "" && t.code != "" {
			return pick(q, []string{"below", "above"}), escape(t.system) + "|" + escape(t.code)
		}
	case 4:
		modifier = "not"
	}
	if len(forms) == 0 {
		return "", ""
	}
	return modifier, pick(q, forms)
}

func (q *Questions) reference(sp *definition.SearchParameter, e element) (modifier, text string) {
	if e.typ.Name != "Reference" && e.text("resourceType") == "" {
		return "", escape(textOf(e.value))
	}
	if i := e.under("identifier"); len(i) > 0 && i[0].text("value") != "" && q.one(2) {
		return "identifier", pick(q, []string{"", escape(i[0].text("system")) + "|"}) + escape(i[0].text("value"))
	}
	written := q.w.referenceText(e)
	ref := q.w.local(written)
	typ, id, _ := strings.Cut(ref, "/")
	switch {
	case ref == "" && written != "" && written[0] != '#':
		return "", escape(written)
	case ref == "":
		return "", ""
	case q.one(4) && len(q.w.line(ref)) > 1:
		return pick(q, []string{"below", "above"}), pick(q, q.w.line(ref))
	case q.one(5):
		return typ, id
	}
	forms := []string{ref, q.w.Bases[0] + "/" + ref}
	if sp.Type == "reference" {
		forms = append(forms, id)
	}
	return "", pick(q, forms)
}

func (q *Questions) composite(sp *definition.SearchParameter, r *Resource, e element) string {
	root := element{value: r.root, typ: q.w.Definitions.Type(r.Type)}
	var parts []string
	for i, c := range sp.Components {
		expression := c.Expression
		if sp.Code == "relationship" {
			expression = sp.Components[1-i].Expression
		}
		var def *definition.SearchParameter
		for _, p := range q.w.Definitions.AllSearchParameters() {
			if p.URL == c.Definition {
				def = p
			}
		}
		found := q.w.eval(root, expression, []element{e})
		if len(found) == 0 {
			return ""
		}
		modifier, part := "again", ""
		for range 10 {
			if modifier, part = q.operand(def, r, pick(q, found)); modifier == "" {
				break
			}
		}
		if modifier != "" || part == "" {
			return ""
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, "$")
}
