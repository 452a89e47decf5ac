package interaction

import (
	"context"
	"encoding/hex"
	"errors"
	"iter"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/audit/trace"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/redact"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir/search"
	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/sealed"
)

// Bounds of one page of a feed: how many changes are passed over, and how many
// versions are loaded that turn out to be invisible, before the page ends with
// a link to where it stopped.
const (
	maxPassed = 100_000
	maxUnseen = 10_000
)

// smallBatch is the least that is loaded at once.
const smallBatch = 64

// HistoryType answers the versions of all resources of a type (R4
// http.html#history).
func (s *Service) HistoryType(ctx context.Context, c Call, resourceType, rawQuery string) (*Answer, error) {
	return s.feed(ctx, c, resourceType, resourceType+"/_history", "history-type", rawQuery)
}

// HistorySystem answers the versions of all resources of the types that the
// caller may search.
func (s *Service) HistorySystem(ctx context.Context, c Call, rawQuery string) (*Answer, error) {
	return s.feed(ctx, c, "", "_history", "history-system", rawQuery)
}

func (s *Service) feed(ctx context.Context, c Call, resourceType, path, subtype, rawQuery string) (a *Answer, err error) {
	ctx, end := s.start(ctx, &c, trace.History)
	defer func() { end(err) }()
	ev := begin(c, audit.Read, subtype)
	ev.Query = rawQuery
	if resourceType != "" {
		ev.Entities = []audit.Entity{{Type: resourceType}}
	}
	a, err = s.feedPage(ctx, c, ev, resourceType, path, rawQuery)
	if err != nil {
		return nil, s.refuse(ctx, ev, err)
	}
	return a, nil
}

func (s *Service) feedPage(ctx context.Context, c Call, ev audit.Event, resourceType, path, rawQuery string) (*Answer, error) {
	rawQuery, from, err := s.resume(c, path, rawQuery)
	if err != nil {
		return nil, err
	}
	ev.Query, ev.Entities = rawQuery, nil
	f := feed{s: s, c: c, grants: map[string]authz.Grant{}}
	if f.q, err = parseHistory(rawQuery); err != nil {
		return nil, err
	}
	if err := f.permit(ctx, &ev, resourceType); err != nil {
		return nil, err
	}
	if err := f.collect(ctx, from); err != nil {
		return nil, err
	}
	p := historyPage{path: path, rawQuery: rawQuery, hits: f.hits}
	at := &position{Feed: hex.EncodeToString([]byte(f.at))}
	switch {
	case f.more:
		p.next = at
	case f.q.ascending:
		at.Follow = true
		p.monitor = at
	}
	if !f.more && from.Feed == "" {
		n := len(f.hits)
		p.total = &n
	}
	return s.historyBundle(ctx, c, f.first, ev, p)
}

// feed collects a page of the changes of the whole store.
type feed struct {
	s      *Service
	c      Call
	q      historyQuery
	grants map[string]authz.Grant // of the types that are asked for
	first  authz.Grant            // releases the answer

	hits []hit
	at   repository.Seq // the last change that was looked at
	more bool           // the feed goes on behind it
}

// permit decides on every type asked for. A history of more than one resource
// is a search (SMART App Launch 2.2, scopes: s). It is not for callers who are
// confined to one patient in any of the types: how many pages are empty would
// tell them how busy the others are.
func (f *feed) permit(ctx context.Context, ev *audit.Event, resourceType string) error {
	types := []string{resourceType}
	if resourceType == "" {
		types = f.s.Definitions.ResourceTypes()
	}
	if resourceType == auditEvent || resourceType != "" && !f.s.Definitions.IsResource(resourceType) {
		return fail(NotFound, nil, "there is no history of this type")
	}
	for _, typ := range types {
		if typ == auditEvent {
			continue
		}
		g, err := f.s.Decider.Decide(ctx, f.c.Subject, authz.Request{Action: authz.Search, Type: typ})
		if isDenied(err) || err == nil && (!g.Allowed() || f.c.conceals() || !f.seesTime(g, typ)) {
			continue
		}
		if err != nil {
			return err
		}
		if _, confined := g.Confined(); confined {
			return fail(Denied, nil, "a caller who is confined to one patient has the history of single resources")
		}
		f.grants[typ] = g
		f.first = g
	}
	if len(f.grants) == 0 {
		return authz.ErrDenied
	}
	ev.PolicyRevision = f.first.Revision()
	return nil
}

// seesTime: a history in the order of time shows lastUpdated.
func (f *feed) seesTime(g authz.Grant, typ string) bool {
	p := f.s.Catalog.Parameter(typ, lastUpdated)
	return p != nil && g.Ceiling().Contains(p.Needs(search.NoModifier))
}

// changes enters the feed where the page begins.
func (f *feed) changes(ctx context.Context, from position) (changes iter.Seq2[repository.Change, error], lowest repository.Seq, err error) {
	feeder, ok := f.s.Store.(repository.Feeder)
	if !ok {
		return nil, "", fail(Malformed, nil, "this store serves no history of more than one resource")
	}
	at, err := hex.DecodeString(from.Feed)
	if err != nil {
		return nil, "", badLink()
	}
	f.at = repository.Seq(at)
	if f.q.since > 0 && (from.Feed == "" || !f.q.ascending) {
		if lowest, err = feeder.Since(ctx, f.q.since); err != nil {
			return nil, "", err
		}
	}
	if f.q.ascending {
		f.at = max(f.at, lowest)
		return f.s.Store.Changes(ctx, f.at), "", nil
	}
	return feeder.ChangesBefore(ctx, f.at), lowest, nil
}

// collect fills the page: changes are gathered, their versions loaded and
// judged side by side, and taken over in order.
func (f *feed) collect(ctx context.Context, from position) error {
	changes, lowest, err := f.changes(ctx, from)
	if err != nil {
		return err
	}
	var batch []repository.Change
	passed, loaded, last := 0, 0, f.at
	for ch, err := range changes {
		if err != nil {
			return err
		}
		if lowest != "" && ch.Seq <= lowest {
			break
		}
		last = ch.Seq
		if f.asked(ch) {
			batch = append(batch, ch)
		} else {
			passed++
		}
		if len(batch) < max(f.q.count-len(f.hits), smallBatch) && passed < maxPassed {
			continue
		}
		loaded += len(batch)
		full, err := f.take(ctx, batch)
		if err != nil || full {
			return err
		}
		f.at = last
		if f.more = loaded >= maxUnseen+f.q.count || passed >= maxPassed; f.more {
			return nil
		}
		batch = batch[:0]
	}
	if full, err := f.take(ctx, batch); err != nil || full {
		return err
	}
	f.at = last
	return nil
}

// asked reports whether a change can be of interest, by what the feed says of
// it.
func (f *feed) asked(ch repository.Change) bool {
	_, asked := f.grants[ch.Key.Type]
	return asked && ch.Updated >= f.q.since && (f.q.until == 0 || ch.Updated < f.q.until)
}

// take judges a batch and takes over what is visible, until the page is full:
// then there is more, or may be.
func (f *feed) take(ctx context.Context, batch []repository.Change) (full bool, err error) {
	wanted := make([]repository.Wanted, 0, 2*len(batch))
	for _, ch := range batch {
		wanted = append(wanted, repository.Wanted{Key: ch.Key}, repository.Wanted{Key: ch.Key, Version: ch.Version})
	}
	load, err := f.s.Vault.Ahead(ctx, wanted)
	if err != nil {
		return false, err
	}
	found := make([]hit, len(batch))
	err = inParallel(ctx, len(batch), func(i int) (err error) {
		found[i], err = f.judge(ctx, load, batch[i])
		return err
	})
	if err != nil {
		return false, err
	}
	for i, h := range found {
		switch {
		case h.mask == 0:
		case len(f.hits) == f.q.count:
			f.more = true
			return true, nil
		case f.c.room.take(len(h.stored.Record.Body)):
			f.hits = append(f.hits, h)
		case len(f.hits) == 0:
			return false, answerTooLarge()
		default:
			f.more = true
			return true, nil
		}
		f.at = batch[i].Seq
	}
	f.more = len(f.hits) == f.q.count
	return f.more, nil
}

// judge loads a version and decides on it: by its own labels and by the current
// ones, the stricter wins.
func (f *feed) judge(ctx context.Context, load sealed.Loader, ch repository.Change) (hit, error) {
	if in, err := f.s.inTime(ctx, f.q, ch.Key, ch.Version, ch.Updated); !in || err != nil {
		return hit{}, err
	}
	g := f.grants[ch.Key.Type]
	current, err := load(ctx, repository.Wanted{Key: ch.Key})
	if err != nil {
		return hit{}, unseen(err)
	}
	st, mask := current, field.AllClasses
	if current.Record.Version != ch.Version {
		mask = f.s.visible(ctx, g, current)
		if st, err = load(ctx, repository.Wanted{Key: ch.Key, Version: ch.Version}); err != nil {
			return hit{}, unseen(err)
		}
	}
	if mask &= f.s.visible(ctx, g, st); redact.Withheld(st.Head, mask) {
		mask = 0
	}
	return hit{stored: st, mask: mask}, nil
}

// unseen drops the errors of versions that are gone: purged or erased.
func unseen(err error) error {
	if errors.Is(err, repository.ErrNotFound) || errors.Is(err, sealed.ErrErased) {
		return nil
	}
	return err
}
