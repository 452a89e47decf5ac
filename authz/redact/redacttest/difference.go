package redacttest

import (
	"fmt"
	"maps"
	"slices"
)

// Differences collects what is not as the reference says, by type and path. It
// holds no values.
type Differences struct {
	Compared, Withheld int
	found              map[string]finding
}

type finding struct {
	first string // where it was met first
	count int
}

// Compare notes every difference of two views of a resource; nil is one that is
// not shown.
func (d *Differences) Compare(what string, got, want []byte) {
	d.Compared++
	switch {
	case want == nil:
		if d.Withheld++; got != nil {
			d.Note("shown, but must be withheld", what)
		}
	case got == nil:
		d.Note("withheld, but may be shown", what)
	case string(got) != string(want):
		g, w := parse(got), parse(want)
		if !d.compare(w.text("resourceType"), what, g, w) {
			d.Note(w.text("resourceType")+": bytes differ", what)
		}
	}
}

// Note notes a difference of another kind.
func (d *Differences) Note(difference, what string) {
	if d.found == nil {
		d.found = map[string]finding{}
	}
	f := d.found[difference]
	if f.count++; f.count == 1 {
		f.first = what
	}
	d.found[difference] = f
}

// compare reports whether it noted anything.
func (d *Differences) compare(path, what string, got, want *node) (noted bool) {
	note := func(format string, args ...any) {
		d.Note(fmt.Sprintf(format, args...), what)
		noted = true
	}
	switch {
	case got.kind != want.kind || got.kind == 0 && string(got.raw) != string(want.raw):
		note("%s has another value", path)
	case got.kind == '[':
		if len(got.kids) != len(want.kids) {
			note("%s has more or fewer items", path)
			return true
		}
		for i := range got.kids {
			noted = d.compare(path, what, got.kids[i], want.kids[i]) || noted
		}
	case got.kind == '{':
		for _, kid := range got.kids {
			if other := want.member(kid.name); other == nil {
				note("%s.%s is shown, but must be hidden", path, kid.name)
			} else {
				noted = d.compare(path+"."+kid.name, what, kid, other) || noted
			}
		}
		for i, kid := range want.kids {
			if got.member(kid.name) == nil {
				note("%s.%s is lacking", path, kid.name)
			} else if !noted && got.kids[i].name != kid.name {
				note("%s has its members in another order", path)
			}
		}
	}
	return noted
}

// Lines are the differences, most at most.
func (d *Differences) Lines(most int) (lines []string) {
	for _, difference := range slices.Sorted(maps.Keys(d.found)) {
		f := d.found[difference]
		lines = append(lines, fmt.Sprintf("%s (%d times, first %s)", difference, f.count, f.first))
	}
	if len(lines) > most {
		lines = append(lines[:most], fmt.Sprintf("and %d more", len(lines)-most))
	}
	return lines
}

// Any reports whether there is a difference.
func (d *Differences) Any() bool { return len(d.found) > 0 }
