package searchtest

import (
	"cmp"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/fieldseal/fieldseal/fhir/definition"
)

// include is what _include and _revinclude add to the matches (R4
// search.html#include): only what iterates follows from what was added.
func (w *World) include(matches []string, pairs []pair) []string {
	var added []string
	for sources, round := matches, 0; len(sources) > 0; round++ {
		var next []string
		for _, nv := range pairs {
			code, modifier, _ := strings.Cut(nv.name, ":")
			if code != "_include" && code != "_revinclude" || round > 0 && modifier != "iterate" {
				continue
			}
			for _, ref := range w.followed(code == "_revinclude", nv.value, sources) {
				if w.byRef[ref] != nil && !slices.Contains(matches, ref) && !slices.Contains(added, ref) {
					added, next = append(added, ref), append(next, ref)
				}
			}
		}
		sources = next
	}
	slices.Sort(added)
	return added
}

func (w *World) followed(reverse bool, value string, sources []string) (refs []string) {
	source, rest, _ := strings.Cut(value, ":")
	code, target, _ := strings.Cut(rest, ":")
	from := sources
	if reverse {
		from = nil
		for _, r := range w.All() {
			from = append(from, r.Ref)
		}
	}
	for _, ref := range from {
		r := w.byRef[ref]
		if source != "*" && r.Type != source {
			continue
		}
		for _, sp := range w.Definitions.SearchParameters(r.Type) {
			if sp.Type != "reference" || sp.Expression == "" || code != "" && code != "*" && sp.Code != code {
				continue
			}
			for _, to := range append(w.targets(r, sp.Code), w.named(r, sp)...) {
				switch {
				case target != "" && !strings.HasPrefix(to, target+"/"):
				case !reverse:
					refs = append(refs, to)
				case slices.Contains(sources, to):
					refs = append(refs, ref)
				}
			}
		}
	}
	return refs
}

// named are the resources that the canonicals of a parameter name by their url
// (R4 references.html#canonical).
func (w *World) named(r *Resource, sp *definition.SearchParameter) (refs []string) {
	for _, e := range w.elements(r, sp.Code) {
		if e.typ.Name == "Reference" || e.text("resourceType") != "" {
			continue
		}
		for _, to := range w.All() {
			url, version := textOf(to.root["url"]), textOf(to.root["version"])
			if have := textOf(e.value); url != "" && slices.Contains(sp.Target, to.Type) && (have == url || have == url+"|"+version) {
				refs = append(refs, to.Ref)
			}
		}
	}
	return refs
}

// Ordered reports the first two neighbours that stand in the wrong order: a
// missing value comes last in both directions.
func (w *World) Ordered(sort string, refs []string) error {
	for i := 1; i < len(refs); i++ {
		for _, key := range strings.Split(sort, ",") {
			code, descending := strings.CutPrefix(key, "-")
			c := w.order(code, descending, w.byRef[refs[i-1]], w.byRef[refs[i]])
			if c > 0 {
				return fmt.Errorf("%s stands before %s by %s", refs[i-1], refs[i], key)
			}
			if c < 0 {
				break
			}
		}
	}
	return nil
}

func (w *World) order(code string, descending bool, a, b *Resource) int {
	x, y := w.sortValue(code, descending, a), w.sortValue(code, descending, b)
	switch {
	case x == nil || y == nil:
		return cmp.Compare(len(y), len(x))
	case descending:
		return -compareValues(x, y)
	}
	return compareValues(x, y)
}

// sortValue is the lowest value, or for descending the highest (R4
// search.html#sort): what is compared, part by part.
func (w *World) sortValue(code string, descending bool, r *Resource) (best []any) {
	sp := w.Definitions.SearchParameter(r.Type, code)
	for _, e := range w.elements(r, code) {
		for _, v := range w.sortValues(sp.Type, e) {
			if c := 0; best != nil {
				if c = compareValues(v, best); descending {
					c = -c
				}
				if c >= 0 {
					continue
				}
			}
			best = v
		}
	}
	return best
}

func (w *World) sortValues(kind string, e element) (all [][]any) {
	switch kind {
	case "number":
		for _, s := range numbers(e) {
			all = append(all, []any{end{s.low, -1}, end{s.high, 1}})
		}
	case "date":
		for _, t := range times(e) {
			all = append(all, []any{t.low.UnixMicro(), t.high.UnixMicro()})
		}
	case "string":
		for _, s := range textsOf(e) {
			all = append(all, []any{fold(s), s})
		}
	case "token":
		for _, t := range tokens(e) {
			if t.code != "" {
				all = append(all, []any{t.code, t.system})
			}
		}
	case "reference":
		text := w.referenceText(e)
		if e.typ.Name != "Reference" && text == "" {
			text = textOf(e.value)
		}
		if ref := w.local(text); ref != "" {
			text = ref
		}
		if text != "" && text[0] != '#' {
			all = append(all, []any{text})
		}
	case "uri":
		all = append(all, []any{textOf(e.value)})
	}
	return all
}

// end of a span of numbers; nil is open towards its side.
type end struct {
	*big.Rat
	side int
}

func compareValues(a, b []any) int {
	for i := range a {
		c := 0
		switch x := a[i].(type) {
		case string:
			c = strings.Compare(x, b[i].(string))
		case int64:
			c = cmp.Compare(x, b[i].(int64))
		case end:
			y := b[i].(end)
			switch {
			case x.Rat != nil && y.Rat != nil:
				c = x.Cmp(y.Rat)
			case x.Rat == nil && y.Rat != nil:
				c = x.side
			case x.Rat != nil:
				c = -y.side
			}
		}
		if c != 0 {
			return c
		}
	}
	return 0
}
