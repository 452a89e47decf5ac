package localstore

import (
	"github.com/cockroachdb/pebble/v2"
)

// ordinals is one ascending list of ordinals: the keys that begin with prefix.
type ordinals struct {
	prefix []byte
	exact  bool // prefix is what split returns, so bloom filters apply
	it     *pebble.Iterator
	key    []byte // scratch
	at     ordinal
	state  listState
}

type listState uint8

const (
	listUnread listState = iota
	listPositioned
	listEnded
)

func (l *ordinals) open(view *pebble.Snapshot) (err error) {
	o := &pebble.IterOptions{}
	if !l.exact {
		o.LowerBound, o.UpperBound = l.prefix, successor(l.prefix)
	}
	l.it, err = view.NewIter(o)
	return storeError("reading index", err)
}

func (l *ordinals) close() {
	if l.it != nil {
		l.it.Close()
	}
}

// seek moves to the first ordinal at or above the target, which never falls.
func (l *ordinals) seek(target ordinal) error {
	if l.state == listEnded || l.state == listPositioned && l.at >= target {
		return nil
	}
	var ok bool
	switch {
	case l.state == listPositioned && target == l.at+1:
		ok = l.it.Next()
	case l.exact:
		l.key = appendOrdinal(append(l.key[:0], l.prefix...), target)
		ok = l.it.SeekPrefixGE(l.key)
	default:
		l.key = appendOrdinal(append(l.key[:0], l.prefix...), target)
		ok = l.it.SeekGE(l.key)
	}
	if !ok {
		l.state = listEnded
		return storeError("reading index", l.it.Error())
	}
	l.at, _ = readOrdinal(l.it.Key())
	l.state = listPositioned
	return nil
}

// clause is the union of lists.
type clause []*ordinals

// seek returns the first ordinal of the union at or above the target.
func (c clause) seek(target ordinal) (least ordinal, ok bool, err error) {
	for _, l := range c {
		if err := l.seek(target); err != nil {
			return 0, false, err
		}
		if l.state == listPositioned && (!ok || l.at < least) {
			least, ok = l.at, true
		}
	}
	return least, ok, nil
}

// intersect returns the first ordinal at or above the target that is in every
// clause. It leaps from list to list and holds none of them in memory.
func intersect(clauses []clause, target ordinal) (ordinal, bool, error) {
	for agreed := 0; agreed < len(clauses); {
		agreed = 0
		for _, c := range clauses {
			o, ok, err := c.seek(target)
			if err != nil || !ok {
				return 0, false, err
			}
			if o == target {
				agreed++
			}
			target = o
		}
	}
	return target, true, nil
}
