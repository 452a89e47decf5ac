package trail

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/fieldseal/fieldseal/audit"
)

// MaxLimit bounds one page of Search.
const MaxLimit = 1000

// Query selects events. Every field that is set must match; the zero Query
// matches all. Results come newest first.
type Query struct {
	Patient  *audit.Owner
	Agent    string // Agent.Subject or Agent.Who
	From, To time.Time
	Kinds    []audit.Kind
	Subtypes []Subtype
	Before   Position // only events before this place
	Limit    int      // 1 to MaxLimit; outside: MaxLimit
}

// Subtype names a type of event with its subtype.
type Subtype struct {
	Kind    audit.Kind
	Subtype string
}

// Position is the place of an event in the order of all chains: by time, of one
// time by name of the chain and sequence number. The zero Position begins.
type Position struct {
	Time   time.Time // in whole microseconds
	Origin string
	Seq    uint64
}

func (p Position) compare(q Position) int {
	return cmp.Or(p.Time.Compare(q.Time), cmp.Compare(p.Origin, q.Origin), cmp.Compare(p.Seq, q.Seq))
}

// PositionOf is where the page behind an entry goes on.
func PositionOf(e audit.Entry) Position {
	return Position{Time: e.Time, Origin: e.Origin, Seq: e.Seq}
}

// Get returns one event of a chain, or ErrNotFound. What was sealed under the
// keys of an erased patient is absent.
func (t *Trail) Get(ctx context.Context, origin string, seq uint64) (audit.Entry, error) {
	f, err := t.frame(ctx, origin, seq)
	if err != nil {
		return audit.Entry{}, err
	}
	return t.entry(ctx, &found{origin, f})
}

// frame reads one record.
func (t *Trail) frame(ctx context.Context, origin string, seq uint64) (frame, error) {
	if seq == 0 {
		return frame{}, ErrNotFound
	}
	for f, err := range t.medium.read(ctx, origin, seq) {
		return f, err
	}
	return frame{}, ErrNotFound
}

func (t *Trail) entry(ctx context.Context, f *found) (audit.Entry, error) {
	e, err := t.sealer.openEvent(ctx, f.block, place{f.origin, f.seq})
	if err != nil {
		return audit.Entry{}, err
	}
	return audit.Entry{Origin: f.origin, Seq: f.seq, Time: time.UnixMicro(f.time).UTC(), Event: e}, nil
}

// Search returns matching events of all chains, newest first, at most q.Limit
// of them. The next page starts with Before set to the position of the last
// one; events that come meanwhile neither repeat nor hide any. ErrErased: the
// keys of q.Patient were destroyed, so its events can no longer be told.
func (t *Trail) Search(ctx context.Context, q Query) ([]audit.Entry, error) {
	clauses, err := t.clauses(ctx, q)
	if err != nil {
		return nil, err
	}
	if q.Limit <= 0 || q.Limit > MaxLimit {
		q.Limit = MaxLimit
	}
	look := find{clauses: clauses, to: math.MaxInt64, before: q.Before, limit: q.Limit}
	if !q.From.IsZero() {
		look.from = q.From.UnixMicro()
	}
	if !q.To.IsZero() {
		look.to = q.To.UnixMicro()
	}
	var out []audit.Entry
	for {
		got, err := t.medium.find(ctx, look)
		if err != nil {
			return nil, err
		}
		for i := range got {
			e, err := t.entry(ctx, &got[i])
			if err != nil {
				return nil, err
			}
			if q.matches(&e) {
				out = append(out, e)
			}
		}
		if len(got) < look.limit || len(out) == q.Limit {
			return out, nil
		}
		look.before, look.limit = got[len(got)-1].position(), q.Limit-len(out)
	}
}

// clauses turns the query into terms: an event matches when it carries one
// term of each clause.
func (t *Trail) clauses(ctx context.Context, q Query) ([][]uint64, error) {
	var out [][]uint64
	if q.Patient != nil {
		k, err := t.opt.Keys.PatientKeys(ctx, *q.Patient)
		if err != nil {
			return nil, fmt.Errorf("reading a patient's audit key: %w", err)
		}
		out = append(out, []uint64{patientTerm(k.Pseudonym)})
	}
	if q.Agent != "" {
		out = append(out, []uint64{t.terms.term(termAgent, q.Agent)})
	}
	var kinds []uint64
	for _, k := range q.Kinds {
		kinds = append(kinds, t.terms.term(termKind, string(k)))
	}
	for _, s := range q.Subtypes {
		kinds = append(kinds, t.terms.term(termSubtype, string(s.Kind), s.Subtype))
	}
	if len(kinds) > 0 {
		out = append(out, kinds)
	}
	return out, nil
}

// matches rechecks an opened event: 64-bit terms may collide.
func (q *Query) matches(e *audit.Entry) bool {
	if q.Agent != "" && e.Agent.Subject != q.Agent && e.Agent.Who != q.Agent {
		return false
	}
	if q.Patient != nil && !slices.ContainsFunc(e.Entities, func(n audit.Entity) bool { return slices.Contains(n.Patients, *q.Patient) }) {
		return false
	}
	if len(q.Kinds) == 0 && len(q.Subtypes) == 0 {
		return true
	}
	return slices.Contains(q.Kinds, e.Kind) || slices.Contains(q.Subtypes, Subtype{e.Kind, e.Event.Subtype})
}
