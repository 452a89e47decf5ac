package localstore

import (
	"context"

	"github.com/cockroachdb/pebble/v2"
)

// meter counts the index entries that a query looks at, and stops a query
// whose context has ended.
type meter struct {
	ctx  context.Context
	read int
}

// cancelEvery is how many entries pass between two looks at the context.
const cancelEvery = 256

func (m *meter) step() error {
	if m.read++; m.read%cancelEvery == 0 {
		return m.ctx.Err()
	}
	return nil
}

// source is an ascending set of ordinals that is not held in memory.
type source interface {
	// seek returns the first ordinal at or above the target, which never falls.
	seek(target ordinal) (o ordinal, ok bool, err error)
	close()
}

// list is one ascending list of ordinals: the keys that begin with prefix.
type list struct {
	*meter
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

func (l *list) open(view pebble.Reader) (err error) {
	o := &pebble.IterOptions{}
	if !l.exact {
		o.LowerBound, o.UpperBound = l.prefix, successor(l.prefix)
	}
	l.it, err = view.NewIter(o)
	return storeError("reading index", err)
}

func (l *list) close() {
	if l.it != nil {
		l.it.Close()
	}
}

func (l *list) seek(target ordinal) (ordinal, bool, error) {
	if l.state == listEnded {
		return 0, false, nil
	}
	if l.state == listPositioned && l.at >= target {
		return l.at, true, nil
	}
	if err := l.step(); err != nil {
		return 0, false, err
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
		return 0, false, storeError("reading index", l.it.Error())
	}
	l.at, _ = readOrdinal(l.it.Key())
	l.state = listPositioned
	return l.at, true, nil
}

// restart lets the next seek go anywhere.
func (l *list) restart() { l.state = listUnread }

// intersect returns the first ordinal at or above the target that is in every
// source. It leaps from source to source: a long one is read only where the
// others have something.
func intersect(sources []source, target ordinal) (ordinal, bool, error) {
	for agreed := 0; agreed < len(sources); {
		agreed = 0
		for _, s := range sources {
			o, ok, err := s.seek(target)
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
