package policy

import (
	"fmt"
	"slices"
	"strings"
)

// Warnings are rules that have no effect: repeated by a wider rule, or always
// denied. They are no faults, since a rule that does nothing opens nothing; but
// whoever wrote it expects something of it.
func (d *Decider) Warnings() Problems {
	byKey := map[typeKey][]*row{}
	lines := map[int][]*row{}
	var order []int
	for i := range d.doc.rows {
		r := &d.doc.rows[i]
		k := typeKey{r.role, r.action, r.typ}
		byKey[k] = append(byKey[k], r)
		if lines[r.line] == nil {
			order = append(order, r.line)
		}
		lines[r.line] = append(lines[r.line], r)
	}
	var out Problems
	for _, line := range order {
		if reason := idle(lines[line], byKey); reason != "" {
			out = append(out, Problem{line, reason})
		}
	}
	return out
}

// typeKey finds the rows that one row is compared with.
type typeKey struct{ role, action, typ string }

// idle says why no row of a line has an effect, or nothing.
func idle(rows []*row, byKey map[typeKey][]*row) string {
	if a, b := contradiction(rows[0].conds); a != "" {
		return fmt.Sprintf("never applies: %s and %s exclude each other", a, b)
	}
	var by []int
	denied := true
	for _, r := range rows {
		var o *row
		for _, typ := range above(r.typ) {
			if o = wider(r, byKey[typeKey{r.role, r.action, typ}]); o != nil {
				break
			}
		}
		if o == nil {
			return ""
		}
		denied = denied && o.deny != r.deny
		if !slices.Contains(by, o.line) {
			by = append(by, o.line)
		}
	}
	where := strings.Trim(fmt.Sprint(by), "[]")
	if denied {
		return "never takes effect: denied by line " + where
	}
	return "is shadowed: line " + where + " says at least the same"
}

// above are the words of the type column that cover all of typ.
func above(typ string) []string {
	switch {
	case typ == everyType:
		return []string{everyType}
	case typ == recordType || !covers(recordType, typ):
		return []string{typ, everyType}
	}
	return []string{typ, recordType, everyType}
}

// wider finds a row of another line after which r has no effect: one of the
// same effect that covers it, or a denial that covers an allowance.
func wider(r *row, others []*row) *row {
	for _, o := range others {
		if o.line != r.line && (o.deny == r.deny || o.deny) &&
			o.classes.Contains(r.classes) && (o.purpose == "*" || o.purpose == r.purpose) && within(o.conds, r.conds) {
			// Of two that say the same the later one is idle.
			if o.deny == r.deny && o.classes == r.classes && o.typ == r.typ && o.purpose == r.purpose && within(r.conds, o.conds) && o.line > r.line {
				continue
			}
			return o
		}
	}
	return nil
}

// within reports whether a holds whenever b does: every predicate of a is one
// of b, or always holds.
func within(a, b []*condition) bool {
	for _, c := range a {
		if !c.constant() && !slices.Contains(b, c) {
			return false
		}
	}
	return true
}

// contradiction finds two predicates that never hold together.
func contradiction(conds []*condition) (a, b string) {
	for _, c := range conds {
		for _, o := range conds {
			if c.negates != "" && c.negates == o.name {
				return c.name, o.name
			}
		}
	}
	return "", ""
}
