package localstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fieldseal/fieldseal/repository"
)

// Find implements repository.Store. Records come in order of creation, or of
// their last change where the index by time is what selects; the cursor says
// which. The caller owns the bodies.
func (s *Store) Find(ctx context.Context, q repository.Query) (page repository.Page, err error) {
	if err := s.enter(ctx); err != nil {
		return page, err
	}
	defer s.leave(&err)
	after, err := parsePosition(q.After)
	if err != nil || q.Limit <= 0 {
		return page, errors.Join(err, checkLimit(q.Limit))
	}
	f := finder{s: s, q: &q, after: after}
	if err := f.run(ctx, f.record); err != nil {
		return repository.Page{}, fmt.Errorf("finding %s: %w", q.Type, err)
	}
	f.page.Read = f.read
	return f.page, s.durable.wait(ctx, f.newest)
}

// position is where a page ended.
type position struct {
	ordinal ordinal
	// What follows belongs to queries that the index by time leads. Records
	// that changed after the first page, those above feed position bound, are
	// passed over: they would come again at their new time.
	timed bool
	time  repository.Stamp
	bound uint64
}

const timedBytes = 8 + ordinalBytes + 8

func (p position) cursor() repository.Cursor {
	if !p.timed {
		return repository.Cursor(appendOrdinal(nil, p.ordinal))
	}
	b := binary.BigEndian.AppendUint64(make([]byte, 0, timedBytes), uint64(p.time))
	return repository.Cursor(binary.BigEndian.AppendUint64(appendOrdinal(b, p.ordinal), p.bound))
}

func parsePosition(c repository.Cursor) (p position, err error) {
	b := []byte(c)
	switch len(b) {
	case 0:
	case ordinalBytes:
		p.ordinal, _ = readOrdinal(b)
	case timedBytes:
		p.timed, p.time = true, repository.Stamp(binary.BigEndian.Uint64(b))
		p.ordinal, _ = readOrdinal(b[:8+ordinalBytes])
		p.bound = binary.BigEndian.Uint64(b[8+ordinalBytes:])
	default:
		err = repository.ErrPosition
	}
	return p, err
}

// finder evaluates one query on one snapshot.
type finder struct {
	meter
	s        *Store
	code     typeCode
	q        *repository.Query
	after    position
	view     *pebble.Snapshot
	counting bool // records are not looked at, so rows must tell the dead
	unmoved  bool // some records may be of format 1 and not in the index by time
	plan     plan
	open     []source         // what to close
	rows     *pebble.Iterator // forward rows
	key      []byte           // scratch
	page     repository.Page
	newest   uint64 // highest batch number among the records
}

// run calls visit with each match until it says that it has enough.
func (f *finder) run(ctx context.Context, visit func(position) (enough bool, err error)) (err error) {
	var ok bool
	if f.code, ok = f.s.types.code(f.q.Type); !ok {
		return nil
	}
	f.ctx = ctx
	f.unmoved = f.s.upgrade.pending.Load()
	f.view = f.s.db.NewSnapshot()
	defer f.close()
	if f.plan, err = f.choose(); err != nil || f.plan.empty {
		return err
	}
	// Lists of an owner, and of a type in format 1, have what is not live too.
	f.plan.row = f.plan.row || f.counting && (f.q.Owner != nil || f.unmoved)
	if f.plan.byTime {
		return f.timed(visit)
	}
	for after := f.after.ordinal; after < maxOrdinal; {
		o, ok, err := intersect(f.plan.sources, after+1)
		if err != nil || !ok {
			return err
		}
		if enough, err := f.test(position{ordinal: o}, visit); err != nil || enough {
			return err
		}
		after = o
	}
	return nil
}

func (f *finder) close() {
	for _, s := range f.open {
		s.close()
	}
	if f.rows != nil {
		f.rows.Close()
	}
	f.view.Close()
}

// newList opens a list.
func (f *finder) newList(prefix []byte, exact bool) (*list, error) {
	l := &list{meter: &f.meter, prefix: prefix, exact: exact}
	f.open = append(f.open, l)
	return l, l.open(f.view)
}

// newUnion opens the union of a clause's lists.
func (f *finder) newUnion(c clause) (*union, error) {
	u := &union{meter: &f.meter, code: f.code, tokens: c}
	f.open = append(f.open, u)
	return u, u.open(f.view)
}

// timed walks along the index by time.
func (f *finder) timed(visit func(position) (bool, error)) error {
	it, err := f.timeIter()
	if err != nil {
		return err
	}
	defer it.Close()
	at := f.after
	if at.timed = true; f.after.timed {
		f.key = appendUpdatedKey(f.key[:0], f.code, at.time, at.ordinal+1)
		it.SeekGE(f.key)
	} else if at.bound, err = f.lastChange(); err != nil {
		return err
	} else {
		it.First()
	}
	for ; it.Valid(); it.Next() {
		var sized bool
		if at.time, at.ordinal, sized = readUpdated(it.Key()); !sized {
			return fmt.Errorf("%w: malformed index by time", repository.ErrCorrupt)
		}
		if err := f.step(); err != nil {
			return err
		}
		if enough, err := f.test(at, visit); err != nil || enough {
			return err
		}
	}
	return storeError("reading index", it.Error())
}

// timeIter iterates over the index by time between Since and Until.
func (f *finder) timeIter() (*pebble.Iterator, error) {
	all := appendTypePrefix(nil, kindUpdated, f.code)
	o := &pebble.IterOptions{LowerBound: all, UpperBound: successor(all)}
	if f.q.Since != 0 {
		o.LowerBound = appendUpdatedPrefix(nil, f.code, f.q.Since)
	}
	if f.q.Until != 0 {
		o.UpperBound = appendUpdatedPrefix(nil, f.code, f.q.Until)
	}
	it, err := f.view.NewIter(o)
	return it, storeError("reading index", err)
}

// lastChange is the last feed position in view.
func (f *finder) lastChange() (uint64, error) {
	it, err := prefixIter(f.view, []byte{kindFeed})
	if err != nil {
		return 0, storeError("reading feed", err)
	}
	defer it.Close()
	if !it.Last() {
		return 0, storeError("reading feed", it.Error())
	}
	return binary.BigEndian.Uint64(it.Key()[1:]), nil
}

// record adds a match to the page. The first one beyond the limit only shows
// that there is a next page.
func (f *finder) record(p position) (enough bool, err error) {
	var r stored
	closer, err := at(f.view, f.code, p.ordinal, &r)
	if err != nil {
		return false, err
	}
	if closer == nil {
		return false, fmt.Errorf("%w: an index entry without its record", repository.ErrCorrupt)
	}
	defer closer.Close()
	if r.flags != 0 || f.q.Owner != nil && r.owner != *f.q.Owner || p.timed && r.seq > p.bound {
		return false, nil
	}
	if n := len(f.page.Records); n == f.q.Limit {
		f.page.Next = f.page.Records[n-1].Position
		return true, nil
	}
	f.newest = max(f.newest, f.s.marks.record(r.id).Load())
	rec := r.record(repository.Key{Type: f.q.Type, ID: r.id})
	rec.Position = p.cursor()
	f.page.Records = append(f.page.Records, rec)
	return false, nil
}
