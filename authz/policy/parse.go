package policy

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/crypto/field"
)

// document is a policy file after parsing.
type document struct {
	roles  map[string]string   // name → description
	marks  map[string][]string // role → traits
	rows   []row
	never  []row // denials that the file promises
	conds  map[string]*condition
	assign assignments
}

// condition returns the condition with the text, which must be one that reads.
func (d *document) condition(text string) *condition { return d.conds[text] }

// newDocument knows the conditions that programs need whatever the rules name.
func newDocument() document {
	d := document{roles: map[string]string{}, marks: map[string][]string{}, conds: map[string]*condition{}}
	for _, name := range [...]string{allPatients.name, ownCompartment.name, notPatientData.name, relationship.name, btg.name} {
		d.conds[name], _ = newCondition(name) // they are registered
	}
	return d
}

// reader collects every problem instead of stopping at the first.
type reader struct {
	types    map[string]bool
	doc      document
	seen     map[string]int // row → line, to refuse duplicates
	problems Problems
}

func (p *reader) fault(line int, format string, args ...any) {
	p.problems = append(p.problems, Problem{line, fmt.Sprintf(format, args...)})
}

// parse reads the CSV form described in docs/policy.md. The error is Problems.
func parse(data []byte, types map[string]bool) (document, error) {
	p := &reader{types: types, doc: newDocument(), seen: map[string]int{}}
	r := csv.NewReader(bytes.NewReader(data))
	r.Comment, r.TrimLeadingSpace, r.FieldsPerRecord = '#', true, -1
	var lines []int
	var records [][]string
	for {
		rec, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			var pe *csv.ParseError
			if errors.As(err, &pe) {
				p.fault(pe.Line, "not CSV: %v", pe.Err)
			} else {
				p.fault(0, "not CSV: %v", err)
			}
			return document{}, p.problems
		}
		line, _ := r.FieldPos(0)
		for i := range rec {
			rec[i] = strings.TrimSpace(rec[i])
		}
		lines, records = append(lines, line), append(records, rec)
	}
	for i, rec := range records { // roles first: rules may stand above them
		if rec[0] == "role" {
			p.role(lines[i], rec[1:])
		}
	}
	for i, rec := range records {
		p.record(lines[i], rec)
	}
	if len(p.doc.rows) == 0 {
		p.fault(0, "no rule: nobody could do anything")
	}
	p.cycles()
	p.countConditions()
	p.pseudonymousWrites()
	if len(p.problems) > 0 {
		return document{}, p.problems
	}
	return p.doc, nil
}

func (p *reader) role(line int, f []string) {
	switch {
	case len(f) < 2 || len(f) > 3 || f[0] == "" || f[1] == "":
		p.fault(line, "a role line is: role, NAME, DESCRIPTION or role, NAME, DESCRIPTION, TRAITS with | between several traits")
		if len(f) > 0 {
			p.doc.roles[f[0]] = "declared on a faulty line" // so that the lines that name it are no further faults
		}
	case !strings.HasPrefix(f[0], rolePrefix) || len(f[0]) == len(rolePrefix):
		p.fault(line, "role %q must be called role:NAME", f[0])
	case p.doc.roles[f[0]] != "":
		p.fault(line, "role %q is declared twice", f[0])
	default:
		p.doc.roles[f[0]] = f[1]
		if len(f) == 3 {
			p.doc.marks[f[0]] = p.cell(line, "trait", f[2], func(s string) bool { return slices.Contains(traitNames, s) })
		}
	}
}

func (p *reader) record(line int, rec []string) {
	switch rec[0] {
	case "role":
	case "g":
		p.assignment(line, rec[1:])
	case "p":
		if len(rec) != 8 {
			p.fault(line, "a rule has 8 fields: p, ROLE, TYPE, ACTION, CLASS, PURPOSE, COND, EFFECT; this has %d", len(rec))
			return
		}
		p.rule(line, rec[1:])
	case "never":
		if len(rec) != 5 {
			p.fault(line, "a never line has 5 fields: never, ROLE, TYPE, ACTION, CLASS; this has %d", len(rec))
			return
		}
		p.doc.never = append(p.doc.never, p.expand(line, append(rec[1:], "*", allPatients.name, "deny"))...)
	default:
		p.fault(line, "line starts with %q, want role, g, p or never", rec[0])
	}
}

func (p *reader) rule(line int, f []string) {
	for _, r := range p.expand(line, f) {
		key := strings.Join(r.fields(), "\x00")
		if first, dup := p.seen[key]; dup {
			p.fault(line, "repeats line %d: %s", first, strings.Join(r.fields(), ", "))
			continue
		}
		p.seen[key] = line
		p.doc.rows = append(p.doc.rows, r)
	}
}

// expand checks every column and multiplies the "a|b" cells out.
func (p *reader) expand(line int, f []string) []row {
	before := len(p.problems)
	roles := p.cell(line, "role", f[0], func(s string) bool { return p.doc.roles[s] != "" })
	types := p.cell(line, "type", f[1], func(s string) bool {
		return s == everyType || s == recordType || administered(s) || p.types[s]
	})
	acts := p.cell(line, "action", f[2], func(s string) bool { return slices.Contains(actions, s) })
	classes := p.cell(line, "class", f[3], func(s string) bool { _, err := field.ParseClass(s); return s == "*" || err == nil })
	purps := p.cell(line, "purpose", f[4], func(s string) bool { return s == "*" || slices.Contains(purposes, s) })
	conds := p.cond(line, f[5])
	if f[6] != "allow" && f[6] != "deny" {
		p.fault(line, "effect %q, want allow or deny", f[6])
	}
	if len(p.problems) > before {
		return nil
	}
	var rows []row
	for _, role := range roles {
		for _, typ := range types {
			for _, act := range acts {
				p.adminType(line, act, typ)
				for _, class := range classes {
					for _, purp := range purps {
						rows = append(rows, row{line: line, role: role, typ: typ, action: act, class: class, purpose: purp,
							cond: f[5], deny: f[6] == "deny", classes: classSet(class), conds: conds})
					}
				}
			}
		}
	}
	return rows
}

// adminType keeps administration and resources apart.
func (p *reader) adminType(line int, action, typ string) {
	if (action == string(authz.Admin)) != administered(typ) && typ != everyType {
		p.fault(line, "action %s does not apply to type %s: admin is the action of %s and %s", action, typ, authz.Server, authz.Policy)
	}
}

func (p *reader) cell(line int, column, value string, known func(string) bool) []string {
	parts := strings.Split(value, "|")
	for i, s := range parts {
		parts[i] = strings.TrimSpace(s)
		switch {
		case parts[i] == "":
			p.fault(line, "%s is empty", column)
		case !known(parts[i]):
			p.fault(line, "unknown %s %q", column, parts[i])
		case slices.Contains(parts[:i], parts[i]):
			p.fault(line, "%s %q stands twice", column, parts[i])
		}
	}
	return parts
}

func (p *reader) cond(line int, value string) []*condition {
	var out []*condition
	for s := range strings.SplitSeq(value, "&") {
		s = strings.TrimSpace(s)
		c := p.doc.conds[s]
		var err error
		if c == nil {
			c, err = newCondition(s)
		}
		switch {
		case s == "":
			p.fault(line, "cond has an empty predicate; an unconditional rule says %s", allPatients.name)
		case err != nil:
			p.fault(line, "%v", err)
		case slices.Contains(out, c):
			p.fault(line, "predicate %q stands twice", s)
		default:
			p.doc.conds[s] = c
			out = append(out, c)
		}
	}
	return out
}

// countConditions bounds the bits of a program.
func (p *reader) countConditions() {
	if n := len(p.doc.conds); n > maxConditions {
		p.fault(0, "has %d different conditions; at most %d are possible", n, maxConditions)
	}
}

// pseudonymousWrites refuses rules that could never apply: who knows resources
// by pseudonyms alone cannot write references.
func (p *reader) pseudonymousWrites() {
	for i := range p.doc.rows {
		r := &p.doc.rows[i]
		if !r.deny && slices.Contains(p.doc.marks[r.role], pseudonymousIDs) && r.action != string(authz.Read) && r.action != string(authz.Search) {
			p.fault(r.line, "%s has the trait %s: it reads and searches only", r.role, pseudonymousIDs)
		}
	}
}

func classSet(name string) field.ClassSet {
	if name == "*" {
		return field.AllClasses
	}
	c, err := field.ParseClass(name)
	if err != nil {
		return 0
	}
	return field.Set(c)
}
