package localstore

import (
	"encoding/binary"
	"errors"

	"github.com/cockroachdb/pebble/v2"
)

// An estimate reads the beginning of a list, and a few entries at the start of
// parts of what follows, each twice as long as the one before: how close
// together they lie says how many there are, of a list that is spread as of one
// whose entries lie together, such as a patient's. Lists that end within the
// beginning are counted.
const (
	sampleEntries = 32 // of the beginning
	partEntries   = 4
	orSample      = 16 // how many lists of an OR are looked at
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
func (s *sample) estimate(from, to uint64) (int, error) {
	first, ok, err := s.seek(from)
	if err != nil || !ok || first >= to {
		return 0, err
	}
	n, last, ended, err := s.count(first, to, sampleEntries)
	if err != nil || ended {
		return n, err
	}
	total := float64(n)
	part := last - first + 1
	for start := last + 1; start < to; part *= 2 {
		end := start + min(part, to-start)
		k, at, ended, err := s.count(start, end, partEntries)
		if err != nil {
			return 0, err
		}
		if ended {
			total += float64(k)
		} else {
			total += float64(k) / float64(at-start+1) * float64(end-start)
		}
		start = end
	}
	return int(total), nil
}

// ordinalsEnd is above the ordinals of the type.
func (f *finder) ordinalsEnd() uint64 { return uint64(f.s.ordinals.last(f.code)) + 1 }

// estimateList estimates what is left of a list behind the last page.
func (f *finder) estimateList(l *list) (int, error) {
	s := sample{meter: &f.meter, it: l.it, prefix: l.prefix, width: ordinalBytes, exact: l.exact}
	return s.estimate(uint64(f.after.ordinal)+1, f.ordinalsEnd())
}

// estimateOr estimates a union from some of its lists. What lies clearly above
// most is not told apart: a sampled list is then read only for twice its share.
func (f *finder) estimateOr(c clause, most int) (int, error) {
	it, err := f.view.NewIter(&pebble.IterOptions{})
	if err != nil {
		return 0, storeError("reading index", err)
	}
	defer it.Close()
	lists := min(orSample, len(c))
	share := min(2*(most/len(c)+1), sampleEntries)
	sum := 0
	for i := range lists {
		prefix := appendTokenPrefix(nil, f.code, c[i*len(c)/lists])
		s := sample{meter: &f.meter, it: it, prefix: prefix, width: ordinalBytes, exact: true}
		from, to := uint64(f.after.ordinal)+1, f.ordinalsEnd()
		var n int
		if share < sampleEntries {
			n, _, _, err = s.count(from, to, share)
		} else {
			n, err = s.estimate(from, to)
		}
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
	n, err = s.estimate(sortable(first), sortable(last)+1)
	return min(n, int(f.ordinalsEnd())-1), errors.Join(err, storeError("reading index", it.Error()))
}
