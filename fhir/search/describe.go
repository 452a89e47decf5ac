package search

import (
	"fmt"
	"strings"
)

// Describe says what the expression compares, without any value: for people
// who ask why a search is slow or refused.
//
//	Observation: subject(Patient: name:exact string, 1 value) and date date ge, 1 value
func (e *Expression) Describe() string {
	var b strings.Builder
	e.describe(&b)
	return b.String()
}

func (e *Expression) describe(b *strings.Builder) {
	b.WriteString(e.Type)
	for i, c := range e.Conditions {
		if i == 0 {
			b.WriteString(": ")
		} else {
			b.WriteString(" and ")
		}
		c.describe(b)
	}
}

// Describe says what the condition compares, without any value.
func (c *Condition) Describe() string {
	var b strings.Builder
	c.describe(&b)
	return b.String()
}

func (c *Condition) describe(b *strings.Builder) {
	if c.Link != nil {
		c.Link.describe(b)
		return
	}
	b.WriteString(c.Parameter.Code)
	if c.Modifier != NoModifier {
		b.WriteString(":" + c.Modifier.String())
	}
	b.WriteString(" " + c.Parameter.Kind.String())
	if prefixes := c.prefixes(); prefixes != "" {
		b.WriteString(" " + prefixes)
	}
	plural := "s"
	if len(c.Operands) == 1 {
		plural = ""
	}
	fmt.Fprintf(b, ", %d value%s", len(c.Operands), plural)
}

// prefixes lists the prefixes of ordered operands, each once.
func (c *Condition) prefixes() string {
	if c.Modifier != NoModifier || c.Parameter.Kind != Number && c.Parameter.Kind != Date && c.Parameter.Kind != QuantityKind {
		return ""
	}
	var used [len(prefixNames)]bool
	for _, o := range c.Operands {
		used[o.Prefix] = true
	}
	var names []string
	for i, u := range used {
		if u {
			names = append(names, prefixNames[i])
		}
	}
	return strings.Join(names, "/")
}

func (l *Link) describe(b *strings.Builder) {
	if l.Reverse {
		b.WriteString("_has " + l.Targets[0].Type + "." + l.Reference.Code + "(")
	} else {
		b.WriteString(l.Reference.Code + "(")
	}
	for i, t := range l.Targets {
		if i > 0 {
			b.WriteString(" or ")
		}
		t.describe(b)
	}
	b.WriteString(")")
}
