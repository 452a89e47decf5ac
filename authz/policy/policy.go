// Package policy decides requests by rules: which element classes of which
// resources a role may read, search or change.
//
// Rules are rows of a Casbin policy (model.conf, default.csv; docs/policy.md
// explains them). Start with New and Decide. Casbin validates the rows and is
// the oracle that the compiled form is tested against; requests are answered
// by programs compiled per role set, scope set, type, action and purpose, whose
// table gives the class mask for each combination of predicate results.
//
// Security notes: what is unknown (role, type, action, purpose, scope) is
// denied; a deny row wins over every allow row; SMART scopes only narrow. A
// Decider never changes: a new policy is a new Decider, so no cached answer
// outlives its rules. Only this package imports Casbin.
//
// Kept compatible: the columns of the CSV file and the names of predicates.
package policy

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/label"
)

//go:embed default.csv
var defaultPolicy []byte

// Default returns a copy of the built-in policy file.
func Default() []byte { return slices.Clone(defaultPolicy) }

// ErrSelfTest means that a decider failed a known denial at start-up.
var ErrSelfTest = errors.New("policy self-test failed")

// Options say what to decide by.
type Options struct {
	// Policy is the CSV text; nil means Default.
	Policy []byte
	// Types are the names of all FHIR resource types.
	Types []string
	// PatientType reports whether a type is a member of the Patient
	// compartment.
	PatientType func(resourceType string) bool
	// Unlabelled is the confidentiality code of resources that carry none; empty
	// means N.
	Unlabelled string
	// Now is time.Now when nil.
	Now func() time.Time
}

// Decider implements authz.Decider. It is immutable and safe for concurrent
// use.
type Decider struct {
	text        string
	doc         document
	types       map[string]bool
	patientType func(string) bool
	revision    string
	index       map[rowKey][]int
	oracle      *oracle
	cache       cache
	env         *environment
}

var _ authz.Decider = (*Decider)(nil)

// Load builds a Decider from a policy file.
func Load(path string, o Options) (*Decider, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading policy: %w", err)
	}
	o.Policy = data
	return New(o)
}

// New reads the policy, reports every problem at once (Problems), and refuses
// to start when a known denial is not denied (ErrSelfTest).
func New(o Options) (*Decider, error) {
	if o.Policy == nil {
		o.Policy = defaultPolicy
	}
	if len(o.Types) == 0 || o.PatientType == nil {
		return nil, errors.New("policy: Options.Types and Options.PatientType are required")
	}
	env, err := o.environment()
	if err != nil {
		return nil, err
	}
	types := make(map[string]bool, len(o.Types))
	for _, t := range o.Types {
		types[t] = true
	}
	doc, err := parse(o.Policy, types)
	if err != nil {
		return nil, err
	}
	orc, err := newOracle(doc.rows)
	if err != nil {
		return nil, err
	}
	d := &Decider{text: string(o.Policy), doc: doc, types: types, patientType: o.PatientType, revision: revisionOf(o.Policy),
		index: indexed(doc.rows), oracle: orc, env: env}
	d.cache.seed = maphash.MakeSeed()
	if err := d.selfTest(); err != nil {
		return nil, err
	}
	return d, nil
}

func (o Options) environment() (*environment, error) {
	env := &environment{now: o.Now, unlabelled: label.Normal}
	if env.now == nil {
		env.now = time.Now
	}
	if o.Unlabelled != "" {
		level, ok := label.ParseLevel(o.Unlabelled)
		if !ok {
			return nil, fmt.Errorf("policy: %q is no confidentiality", o.Unlabelled)
		}
		env.unlabelled = level
	}
	return env, nil
}

// Revision names the policy: a hash of its model and rows.
func (d *Decider) Revision() string { return d.revision }

// Roles are the roles that the policy declares, sorted.
func (d *Decider) Roles() []string {
	var names []string
	for r := range d.doc.roles {
		names = append(names, r)
	}
	slices.Sort(names)
	return names
}

// ModelHash is a hash of the Casbin model under which this binary reads rules.
func ModelHash() string {
	sum := sha256.Sum256([]byte(modelText))
	return hex.EncodeToString(sum[:])
}

// Purposes are the purposes of use for which some rule allows anything, but for
// BTG, which comes with breaking the glass alone.
func (d *Decider) Purposes() []string {
	var out []string
	for _, p := range purposes {
		if p != authz.BreakGlassPurpose && slices.ContainsFunc(d.doc.rows, func(r row) bool { return !r.deny && (r.purpose == p || r.purpose == "*") }) {
			out = append(out, p)
		}
	}
	return out
}

// Traits implements authz.Decider.
func (d *Decider) Traits(s authz.Subject) authz.Traits {
	return d.doc.traits(d.doc.assign.effective(s.Roles(), d.doc.assign.of(s.ID())))
}

func revisionOf(policy []byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d\n%s", len(modelText), modelText)
	h.Write(policy)
	return hex.EncodeToString(h.Sum(nil)[:6])
}

// Decide implements authz.Decider. Known requests take a table lookup, others
// are compiled once.
func (d *Decider) Decide(_ context.Context, s authz.Subject, r authz.Request) (authz.Grant, error) {
	feat, extra := featuresOf(&s), d.doc.assign.of(s.ID())
	slot := d.cache.slot(&s, r, feat, extra)
	e := slot.Load()
	if e == nil || !e.is(&s, r, feat, extra) {
		e = d.compile(&s, r, feat)
		slot.Store(e)
	}
	if e.program.Ceiling() == 0 {
		return authz.Grant{}, denied(r, e.beyond)
	}
	return authz.NewGrant(s, r, e.program), nil
}

// denied names the request only: both words are the server's own vocabulary
// unless the type is unknown, which is then left out.
func denied(r authz.Request, beyondScopes bool) error {
	if beyondScopes {
		return fmt.Errorf("deciding %s: %w", r.Action, authz.ErrScope)
	}
	return fmt.Errorf("deciding %s: %w", r.Action, authz.ErrDenied)
}

func (d *Decider) compile(s *authz.Subject, r authz.Request, feat feature) *entry {
	e := &entry{roles: slices.Clone(s.Roles()), extra: d.doc.assign.of(s.ID()), scopes: slices.Clone(s.Scopes()), purpose: strings.Clone(s.Purpose()),
		typ: strings.Clone(r.Type), action: r.Action, feat: feat, usual: strings.Clone(s.UsualPurpose())}
	if !d.known(s, r, feat) || !onlyReads(d.doc.traits(d.doc.assign.effective(e.roles, e.extra)), r, feat) {
		e.program = d.programOf(e, reachNone)
		return e
	}
	scope := scopesOf(e.scopes, feat, r.Action, r.Type)
	e.beyond = scope.furthest() == reachNone
	e.program = d.programOf(e, scope.whole)
	if len(scope.narrow) > 0 {
		e.program = d.granularOf(e, scope)
	}
	return e
}

// programOf compiles the rules for an entry, as far as its scopes reach.
func (d *Decider) programOf(e *entry, scope reach) *program {
	p := &program{revision: d.revision}
	p.env = d.env
	c := compiler{feat: e.feat}
	if scope != reachNone {
		p.patientType = d.patientType(e.typ)
		d.collect(&c, e)
	}
	c.build(p, &d.doc, scope)
	return p
}

// known refuses what the policy has no words for. An empty action or type is
// unknown (trap 6 of access.md).
func (d *Decider) known(s *authz.Subject, r authz.Request, feat feature) bool {
	if !feat.has(isUser) && !feat.has(isClient) {
		return false
	}
	if !slices.Contains(actions, string(r.Action)) || !slices.Contains(purposes, s.Purpose()) {
		return false
	}
	if (s.Purpose() == authz.BreakGlassPurpose) != feat.has(hasGlass) {
		return false // nobody claims an emergency: it is granted for one patient
	}
	if r.Action == authz.Admin {
		return administered(r.Type)
	}
	return d.types[r.Type]
}

// onlyReads: whoever has broken the glass, or knows resources by pseudonyms
// alone, reads and searches, and not the audit trail, which names ids and
// people.
func onlyReads(t authz.Traits, r authz.Request, feat feature) bool {
	if !feat.has(hasGlass) && t.Project == "" {
		return true
	}
	return (r.Action == authz.Read || r.Action == authz.Search) && r.Type != auditType
}

func (d *Decider) collect(c *compiler, e *entry) {
	for _, role := range d.doc.assign.effective(e.roles, e.extra) {
		for _, i := range d.index[rowKey{role, string(e.action)}] {
			if row := &d.doc.rows[i]; covers(row.typ, e.typ) && (row.purpose == "*" || row.purpose == e.purpose || row.deny && row.purpose == e.usual) {
				c.add(row)
			}
		}
	}
}

// rowKey finds the rows of one role and action, so that a first decision costs
// the same however many other roles there are.
type rowKey struct{ role, action string }

func indexed(rows []row) map[rowKey][]int {
	index := map[rowKey][]int{}
	for i := range rows {
		k := rowKey{rows[i].role, rows[i].action}
		index[k] = append(index[k], i)
	}
	return index
}
