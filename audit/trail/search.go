package trail

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/audit/merkle"
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
	Before   uint64 // only events with a lower sequence number; zero: all
	Limit    int    // 1 to MaxLimit; outside: MaxLimit
}

// Subtype names a type of event with its subtype.
type Subtype struct {
	Kind    audit.Kind
	Subtype string
}

// Get returns one event, or ErrNotFound. What was sealed under the keys of an
// erased patient is absent.
func (t *Trail) Get(ctx context.Context, seq uint64) (audit.Entry, error) {
	f, err := t.frame(seq)
	if err != nil {
		return audit.Entry{}, err
	}
	return t.entry(ctx, &f)
}

func (t *Trail) entry(ctx context.Context, f *frame) (audit.Entry, error) {
	e, err := t.sealer.openEvent(ctx, f.block, f.seq)
	if err != nil {
		return audit.Entry{}, err
	}
	return audit.Entry{Origin: t.origin.Name, Seq: f.seq, Time: time.UnixMicro(f.time).UTC(), Event: e}, nil
}

// Search returns matching events, newest first, at most q.Limit of them. The
// next page starts with Before set to the last sequence number. ErrErased: the
// keys of q.Patient were destroyed, so its events can no longer be told.
func (t *Trail) Search(ctx context.Context, q Query) ([]audit.Entry, error) {
	clauses, err := t.clauses(ctx, q)
	if err != nil {
		return nil, err
	}
	if q.Limit <= 0 || q.Limit > MaxLimit {
		q.Limit = MaxLimit
	}
	var out []audit.Entry
	for _, v := range slices.Backward(t.views()) {
		if len(out) == q.Limit {
			break
		}
		if v.outside(q) {
			continue
		}
		if err := t.searchSegment(ctx, v, q, clauses, &out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// outside reports whether no event of the segment can match by time or place.
func (v view) outside(q Query) bool {
	return (q.Before != 0 && v.first >= q.Before) ||
		(!q.From.IsZero() && v.lastTime < q.From.UnixMicro()) ||
		(!q.To.IsZero() && v.firstTime > q.To.UnixMicro())
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

func (t *Trail) searchSegment(ctx context.Context, v view, q Query, clauses [][]uint64, out *[]audit.Entry) error {
	r, err := t.open(v)
	if err != nil {
		return err
	}
	defer r.close()
	lo, hi, err := r.window(v.first, q)
	if err != nil {
		return err
	}
	match, err := r.match(clauses)
	if err != nil {
		return err
	}
	for i := hi - 1; i >= lo && len(*out) < q.Limit; i-- {
		if match != nil {
			if match = match[:sort.Search(len(match), func(n int) bool { return int(match[n]) > i })]; len(match) == 0 {
				return nil
			}
			if i = int(match[len(match)-1]); i < lo {
				return nil
			}
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		f, err := r.frame(i, v.first+uint64(i))
		if err != nil {
			return err
		}
		e, err := t.entry(ctx, &f)
		if err != nil {
			return err
		}
		if q.matches(&e) {
			*out = append(*out, e)
		}
	}
	return nil
}

// window narrows the ordinals of a segment by date and position; times never
// decrease within a trail.
func (r *reader) window(first uint64, q Query) (lo, hi int, err error) {
	n := r.count()
	if q.Before != 0 && q.Before-first < uint64(n) {
		n = int(q.Before - first)
	}
	at := func(i int) int64 {
		_, when, _, rerr := r.row(i)
		if rerr != nil {
			err = rerr
		}
		return when
	}
	hi = n
	if !q.From.IsZero() {
		lo = sort.Search(n, func(i int) bool { return at(i) >= q.From.UnixMicro() })
	}
	if !q.To.IsZero() {
		hi = sort.Search(n, func(i int) bool { return at(i) > q.To.UnixMicro() })
	}
	return lo, hi, err
}

// match intersects the clauses; nil means that every record matches.
func (r *reader) match(clauses [][]uint64) ([]uint32, error) {
	var all []uint32
	for i, clause := range clauses {
		var some []uint32
		for _, term := range clause {
			p, err := r.postings(term)
			if err != nil {
				return nil, err
			}
			some = append(some, p...)
		}
		slices.Sort(some)
		some = slices.Compact(some)
		if i > 0 {
			some = slices.DeleteFunc(some, func(o uint32) bool { _, ok := slices.BinarySearch(all, o); return !ok })
		}
		all = some
		if all == nil {
			all = []uint32{}
		}
	}
	return all, nil
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

// source is the Merkle tree over all durable events.
func (t *Trail) source() merkle.Source { return treeSource{t, t.views()} }
