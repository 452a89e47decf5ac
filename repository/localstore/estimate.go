package localstore

import (
	"encoding/binary"
	"errors"

	"github.com/cockroachdb/pebble/v2"
)

// An estimate reads the beginning of a list, and a few entries in each eighth
// of what follows: how close together they lie says how many there are. Lists
// that end within the beginning are counted.
const (
	sampleEntries = 32 // of the beginning
	sampleParts   = 8
	partEntries   = 4
	// orSample is how many lists of an OR are looked at for a plan.
	orSample = 16
)

// sample is what an estimate reads: keys that begin with prefix and go on with
// a position of width bytes.
type sample struct {
	*meter
	it     *pebble.Iterator
	prefix []byte
	width  int
	exact  bool // prefix is what split returns
	key    []byte
}

// seek moves to the first entry at or above a position.
func (s *sample) seek(to uint64) (uint64, bool, error) {
	s.key = append(s.key[:0], s.prefix...)
	s.key = append(s.key, binary.BigEndian.AppendUint64(nil, to)[8-s.width:]...)
	if s.exact {
		return s.here(s.it.SeekPrefixGE(s.key))
	}
	return s.here(s.it.SeekGE(s.key))
}

func (s *sample) here(ok bool) (uint64, bool, error) {
	if !ok {
		return 0, false, storeError("reading index", s.it.Error())
	}
	if err := s.step(); err != nil {
		return 0, false, err
	}
	var b [8]byte
	copy(b[8-s.width:], s.it.Key()[len(s.prefix):])
	return binary.BigEndian.Uint64(b[:]), true, nil
}

// count reads up to most entries in [from, to). It returns how many, and the
// position of the last; ended: there are no more.
func (s *sample) count(from, to uint64, most int) (n int, last uint64, ended bool, err error) {
	at, ok, err := s.seek(from)
	for ; ok && at < to; at, ok, err = s.here(s.it.Next()) {
		n, last = n+1, at
		if n == most {
			return n, last, false, nil
		}
	}
	return n, last, true, err
}

// estimate says about how many entries lie in [from, to).
func (s *sample) estimate(from, to uint64, beginning int) (int, error) {
	n, last, ended, err := s.count(from, to, beginning)
	if err != nil || ended {
		return n, err
	}
	total := float64(n)
	part := (to-last)/sampleParts + 1
	for start := last + 1; start < to; start += part {
		end := min(start+part, to)
		k, at, ended, err := s.count(start, end, partEntries)
		if err != nil {
			return 0, err
		}
		if ended {
			total += float64(k)
		} else {
			total += float64(k) / float64(at-start+1) * float64(end-start)
		}
	}
	return int(total), nil
}

// ordinalsEnd is above the ordinals of the type.
func (f *finder) ordinalsEnd() uint64 { return uint64(f.s.ordinals.last(f.code)) + 1 }

// estimateList estimates what is left of a list behind the last page.
func (f *finder) estimateList(l *list) (int, error) {
	s := sample{meter: &f.meter, it: l.it, prefix: l.prefix, width: ordinalBytes, exact: l.exact}
	return s.estimate(uint64(f.after.ordinal)+1, f.ordinalsEnd(), sampleEntries)
}

// estimateOr estimates a union from at most so many of its lists.
func (f *finder) estimateOr(c clause, lists int) (int, error) {
	it, err := f.view.NewIter(&pebble.IterOptions{})
	if err != nil {
		return 0, storeError("reading index", err)
	}
	defer it.Close()
	lists = min(lists, len(c))
	sum := 0
	for i := range lists {
		prefix := appendTokenPrefix(nil, f.code, c[i*len(c)/lists])
		s := sample{meter: &f.meter, it: it, prefix: prefix, width: ordinalBytes, exact: true}
		n, err := s.estimate(uint64(f.after.ordinal)+1, f.ordinalsEnd(), sampleEntries)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum * len(c) / lists, nil
}

// estimateTime estimates what changed between Since and Until.
func (f *finder) estimateTime() (n int, err error) {
	it, err := f.timeIter()
	if err != nil {
		return 0, err
	}
	defer it.Close()
	if !it.First() {
		return 0, storeError("reading index", it.Error())
	}
	first, _, _ := readUpdated(it.Key())
	it.Last()
	last, _, _ := readUpdated(it.Key())
	s := sample{meter: &f.meter, it: it, prefix: appendTypePrefix(nil, kindUpdated, f.code), width: 8}
	n, err = s.estimate(sortable(first), sortable(last)+1, sampleEntries)
	return min(n, int(f.ordinalsEnd())-1), errors.Join(err, storeError("reading index", it.Error()))
}
