// Package label compares security labels, which resources carry in
// meta.security (R4 security-labels.html), and puts labels on resources that
// are written.
//
// Start with Clearance: the confidentiality up to which, and the sensitivity
// categories for which, somebody may see resources. Lowered tells whether a new
// version protects less than the one before, Mark what a Bundle of resources
// carries, and Rules adds labels by code and value set.
//
// Security notes: what is not understood protects more, never less. An unknown
// confidentiality counts as the highest, and a label without a system counts as
// though it had the right one.
package label

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fieldseal/fieldseal/crypto/field"
)

// Code systems of labels that protect.
const (
	Confidentiality = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
	Sensitivity     = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
)

// Level is a confidentiality: U < L < M < N < R < V.
type Level uint8

// order are the codes of the levels (v3-Confidentiality), lowest first.
var order = [...]string{"U", "L", "M", "N", "R", "V"}

// Normal is the level of what nobody labelled, unless configured otherwise.
const Normal Level = 3

const highest = Level(len(order) - 1)

// ParseLevel reads the code of a level.
func ParseLevel(code string) (Level, bool) {
	i := slices.Index(order[:], code)
	return Level(max(i, 0)), i >= 0
}

// String is the code.
func (l Level) String() string { return order[min(l, highest)] }

// Of is the confidentiality of a resource: the highest of its labels, or what
// counts for unlabelled ones.
func Of(security []field.Label, unlabelled Level) Level {
	level, found := Level(0), false
	for i := range security {
		if l, ok := confidentiality(&security[i]); ok {
			level, found = max(level, l), true
		}
	}
	if !found {
		return unlabelled
	}
	return level
}

// confidentiality reads a label that is one. An unknown code of the system is
// the highest level.
func confidentiality(l *field.Label) (Level, bool) {
	level, known := ParseLevel(l.Code)
	switch {
	case l.System == Confidentiality && !known:
		return highest, true
	case l.System == Confidentiality, l.System == "" && known:
		return level, true
	}
	return 0, false
}

// category is the sensitivity category that a label names, if it names one:
// every code of ActCode does, since the list of those that are categories grows.
func category(l *field.Label) (string, bool) {
	_, level := confidentiality(l)
	return l.Code, l.Code != "" && (l.System == Sensitivity || l.System == "" && !level)
}

// Clearance is what labels somebody may see.
type Clearance struct {
	level      Level
	every      bool // every category
	categories []string
}

// ParseClearance reads "R", "R+HIV+PSY" or "V+*": a confidentiality and the
// sensitivity categories.
func ParseClearance(text string) (Clearance, error) {
	parts := strings.Split(text, "+")
	level, ok := ParseLevel(strings.TrimSpace(parts[0]))
	if !ok {
		return Clearance{}, fmt.Errorf("a clearance starts with one of %s", strings.Join(order[:], ", "))
	}
	c := Clearance{level: level}
	for _, p := range parts[1:] {
		switch p = strings.TrimSpace(p); {
		case p == "" || strings.ContainsAny(p, " \t"):
			return Clearance{}, errors.New("a clearance is a confidentiality and categories joined by +, such as R+HIV+PSY")
		case p == "*":
			c.every = true
		default:
			c.categories = append(c.categories, p)
		}
	}
	return c, nil
}

// Covers reports whether resources with these labels may be seen.
func (c *Clearance) Covers(security []field.Label, unlabelled Level) bool {
	if Of(security, unlabelled) > c.level {
		return false
	}
	for i := range security {
		if code, ok := category(&security[i]); ok && !c.every && !slices.Contains(c.categories, code) {
			return false
		}
	}
	return true
}

// Lowered reports whether the labels now protect less than the labels before:
// a lower confidentiality, or a category that is gone.
func Lowered(before, now []field.Label, unlabelled Level) bool {
	if Of(now, unlabelled) < Of(before, unlabelled) {
		return true
	}
	for i := range before {
		code, ok := category(&before[i])
		if ok && !slices.ContainsFunc(now, func(l field.Label) bool { c, ok := category(&l); return ok && c == code }) {
			return true
		}
	}
	return false
}

// Mark are the labels of what holds several resources: the highest
// confidentiality that one of them carries and every category (R4
// security-labels.html: the label of a Bundle covers its entries). The zero
// value is empty.
type Mark struct {
	level      Level
	labelled   bool
	categories []string
}

// Add takes the labels of one resource in.
func (m *Mark) Add(security []field.Label) {
	for i := range security {
		if l, ok := confidentiality(&security[i]); ok {
			m.level, m.labelled = max(m.level, l), true
		} else if code, ok := category(&security[i]); ok && !slices.Contains(m.categories, code) {
			m.categories = append(m.categories, code)
		}
	}
}

// Labels are the labels in a fixed order.
func (m *Mark) Labels() (security []field.Label) {
	if m.labelled {
		security = append(security, field.Label{System: Confidentiality, Code: m.level.String()})
	}
	slices.Sort(m.categories)
	for _, c := range m.categories {
		security = append(security, field.Label{System: Sensitivity, Code: c})
	}
	return security
}
