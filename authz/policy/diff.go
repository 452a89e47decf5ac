package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/crypto/field"
)

// Diff says in sentences what a role gains, loses or has under other
// conditions when next takes the place of old. Two policies without a
// difference of meaning give none, however their lines differ.
func Diff(old, next *Decider) []string {
	var out []string
	out = append(out, declared(old, next)...)
	for _, role := range union(old.Roles(), next.Roles()) {
		out = append(out, old.roleDiff(next, role)...)
	}
	return append(out, promised(old, next)...)
}

func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// declared compares roles and assignments.
func declared(old, next *Decider) []string {
	var out []string
	for _, r := range union(old.Roles(), next.Roles()) {
		was, is := old.doc.roles[r], next.doc.roles[r]
		switch {
		case was == "":
			out = append(out, fmt.Sprintf("%s is new: %s", r, is))
		case is == "":
			out = append(out, fmt.Sprintf("%s no longer exists", r))
		}
		out = append(out, marked(r, old.doc.marks[r], next.doc.marks[r])...)
	}
	before, after := old.doc.assign.sentences(), next.doc.assign.sentences()
	for _, s := range union(before, after) {
		switch {
		case !slices.Contains(before, s):
			out = append(out, s+" now")
		case !slices.Contains(after, s):
			out = append(out, s+" no longer")
		}
	}
	return out
}

// marked compares the traits of a role.
func marked(role string, was, is []string) (out []string) {
	for _, trait := range union(was, is) {
		switch {
		case !slices.Contains(was, trait):
			out = append(out, role+" has the trait "+trait+" now")
		case !slices.Contains(is, trait):
			out = append(out, role+" has the trait "+trait+" no longer")
		}
	}
	return out
}

func (a *assignments) sentences() []string {
	var out []string
	for _, e := range a.edges {
		out = append(out, e.member+" has "+e.of)
	}
	return out
}

// promised compares the never lines, and joins what is said of one role and
// type.
func promised(old, next *Decider) []string {
	was, is := old.promises(), next.promises()
	var out []string
	for _, c := range []struct {
		verb      string
		here, not map[[4]string]bool
	}{{"promise dropped", was, is}, {"promise made", is, was}} {
		byClass := map[[3]string][]string{} // role, type, class → actions
		for p := range c.here {
			if !c.not[p] {
				k := [3]string{p[0], p[1], p[3]}
				byClass[k] = append(byClass[k], p[2])
			}
		}
		byActions := map[[3]string][]string{} // role, type, actions → classes
		for k, acts := range byClass {
			slices.Sort(acts)
			n := [3]string{k[0], k[1], strings.Join(acts, ", ")}
			byActions[n] = append(byActions[n], k[2])
		}
		var said []string
		for k, classes := range byActions {
			slices.Sort(classes)
			said = append(said, fmt.Sprintf("%s: %s never gets %s of %s on %s", c.verb, k[0], k[2], strings.Join(classes, ", "), k[1]))
		}
		slices.Sort(said)
		out = append(out, said...)
	}
	return out
}

// promises are role, type, action and class of the never lines.
func (d *Decider) promises() map[[4]string]bool {
	out := map[[4]string]bool{}
	for i := range d.doc.never {
		r := &d.doc.never[i]
		class, typ := r.class, r.typ
		if class == "*" {
			class = "every class"
		}
		if typ == everyType {
			typ = "every type"
		}
		out[[4]string{r.role, typ, r.action, class}] = true
	}
	return out
}

// cell is one class of one type for one action and purpose; when says under
// which conditions a role has it.
type cell struct{ action, typ, class, purpose string }

const never = ""

// roleDiff compares one role cell by cell, unless its rows are the same.
func (d *Decider) roleDiff(next *Decider, role string) []string {
	types, other := distinctTypes(d, next)
	changes := map[string][]cell{}
	for _, action := range actions {
		if d.sameRows(next, role, action) {
			continue
		}
		for _, typ := range types {
			for _, purpose := range purposes {
				for _, class := range field.AllClasses.Classes() {
					c := cell{action, typ, class.String(), purpose}
					was, is := d.when(role, c, class), next.when(role, c, class)
					if was != is {
						s := change(was, is)
						changes[s] = append(changes[s], c)
					}
				}
			}
		}
	}
	var out []string
	for _, s := range slices.Sorted(maps.Keys(changes)) {
		for _, what := range summarise(changes[s], other, types) {
			out = append(out, fmt.Sprintf(s, role, what))
		}
	}
	return out
}

func (d *Decider) sameRows(next *Decider, role, action string) bool {
	a, b := d.texts(role, action), next.texts(role, action)
	return slices.Equal(a, b)
}

// texts are the rows of a role and of the roles that it includes.
func (d *Decider) texts(role, action string) []string {
	var out []string
	for _, r := range d.doc.assign.effective([]string{role}, nil) {
		for _, i := range d.index[rowKey{r, action}] {
			out = append(out, strings.Join(d.doc.rows[i].fields()[1:], "\x00"))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func change(was, is string) string {
	esc := func(s string) string { return strings.ReplaceAll(s, "%", "%%") }
	switch {
	case was == never:
		return "%s gains %s, " + esc(is)
	case is == never:
		return "%s loses %s (had it " + esc(was) + ")"
	}
	return "%s keeps %s, now " + esc(is) + " (was " + esc(was) + ")"
}

// when says under which conditions a role has a cell: "always", "when a & b
// or c", with "unless d"; never when it cannot.
func (d *Decider) when(role string, c cell, class field.Class) string {
	var allow, deny []string
	for _, r := range d.doc.assign.effective([]string{role}, nil) {
		for _, i := range d.index[rowKey{r, c.action}] {
			row := &d.doc.rows[i]
			if !covers(row.typ, c.typ) || !row.classes.Has(class) || (row.purpose != "*" && row.purpose != c.purpose) {
				continue
			}
			if row.deny {
				deny = append(deny, condText(row.conds))
			} else {
				allow = append(allow, condText(row.conds))
			}
		}
	}
	if len(allow) == 0 || slices.Contains(deny, always) || (administered(c.typ)) != (c.action == string(authz.Admin)) {
		return never
	}
	out := always
	if !slices.Contains(allow, always) {
		out = "when " + alternatives(allow)
	}
	if len(deny) > 0 {
		out += " unless " + alternatives(deny)
	}
	return out
}

const always = "always"

func alternatives(conds []string) string {
	slices.Sort(conds)
	return strings.Join(slices.Compact(conds), " or ")
}

func condText(conds []*condition) string {
	var out []string
	for _, c := range conds {
		if !c.constant() {
			out = append(out, c.text)
		}
	}
	if len(out) == 0 {
		return always
	}
	slices.Sort(out)
	return strings.Join(out, " & ")
}

// summarise joins cells into as few phrases as a reader needs: cells that
// differ in one dimension only become one.
func summarise(cells []cell, other string, types []string) []string {
	// action and class with the same types and purposes belong together
	byPair := map[[2]string]map[string][]string{} // action, class → type → purposes
	for _, c := range cells {
		k := [2]string{c.action, c.class}
		if byPair[k] == nil {
			byPair[k] = map[string][]string{}
		}
		byPair[k][c.typ] = append(byPair[k][c.typ], c.purpose)
	}
	classesOf := map[string]map[string][]string{} // where and what for → action → classes
	for k, where := range byPair {
		for _, phrase := range places(where, other, types) {
			if classesOf[phrase] == nil {
				classesOf[phrase] = map[string][]string{}
			}
			classesOf[phrase][k[0]] = append(classesOf[phrase][k[0]], k[1])
		}
	}
	var out []string
	for _, phrase := range slices.Sorted(maps.Keys(classesOf)) {
		actionsOf := map[string][]string{}
		for action, classes := range classesOf[phrase] {
			slices.Sort(classes)
			key := strings.Join(classes, ", ")
			if len(classes) == len(field.AllClasses.Classes()) {
				key = "every class"
			}
			actionsOf[key] = append(actionsOf[key], action)
		}
		for _, classes := range slices.Sorted(maps.Keys(actionsOf)) {
			acts := actionsOf[classes]
			slices.Sort(acts)
			out = append(out, strings.Join(acts, ", ")+" of "+classes+" "+phrase)
		}
	}
	return out
}

// places joins types that have the same purposes.
func places(where map[string][]string, other string, types []string) []string {
	byPurpose := map[string][]string{}
	for typ, purps := range where {
		slices.Sort(purps)
		key := "for " + strings.Join(purps, ", ")
		if len(purps) == len(purposes) {
			key = "for every purpose"
		}
		byPurpose[key] = append(byPurpose[key], typ)
	}
	var out []string
	for key, typs := range byPurpose {
		out = append(out, "on "+typeText(typs, other, types)+" "+key)
	}
	return out
}

// typeText names types; the one that stands for all others is told so.
func typeText(typs []string, other string, types []string) string {
	slices.Sort(typs)
	if i := slices.Index(typs, other); i >= 0 && other != never {
		typs = slices.Delete(typs, i, i+1)
		var not []string
		for _, t := range types {
			if t != other && !slices.Contains(typs, t) && !administered(t) {
				not = append(not, t)
			}
		}
		if len(not) == 0 {
			return "every type"
		}
		return "every type but " + strings.Join(not, ", ")
	}
	return strings.Join(typs, ", ")
}
