package localstore

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Usage is what one kind of data takes.
type Usage struct {
	Bytes uint64 `json:"bytes"` // in table files, compressed, estimated
	Count uint64 `json:"count"` // rows
}

// Stats tells the kinds of data apart.
type Stats struct {
	Current  Usage `json:"current"`  // current versions, tombstones included
	History  Usage `json:"history"`  // past versions
	Index    Usage `json:"index"`    // postings, forward rows and the rest: ids, times, owners, types
	Postings Usage `json:"postings"` // of Index
	Forward  Usage `json:"forward"`  // of Index: the tokens of each live resource
	Feed     Usage `json:"feed"`
	Tables   Usage `json:"tables"`
	Log      Usage `json:"log"` // log files, those kept for reuse included
}

// Stats walks all keys: it is for reports, not for dashboards. What still
// lies in memtables has a count but no bytes; Compact first for exact sizes.
func (s *Store) Stats(ctx context.Context) (st Stats, err error) {
	if err := s.enter(ctx); err != nil {
		return st, err
	}
	defer s.leave(&err)
	var rest Usage
	kinds := map[byte]*Usage{
		kindRecord: &st.Current, kindVersion: &st.History, kindFeed: &st.Feed, kindTable: &st.Tables,
		kindToken: &st.Postings, kindForward: &st.Forward,
		kindID: &rest, kindUpdated: &rest, kindOwner: &rest, kindType: &rest,
	}
	for kind, u := range kinds {
		if err := s.measure(ctx, kind, u); err != nil {
			return Stats{}, fmt.Errorf("measuring: %w", err)
		}
	}
	for _, u := range []Usage{st.Postings, st.Forward, rest} {
		st.Index.Bytes += u.Bytes
		st.Index.Count += u.Count
	}
	m := s.db.Metrics()
	st.Log = Usage{Bytes: m.WAL.PhysicalSize + m.WAL.ObsoletePhysicalSize, Count: uint64(m.WAL.Files + m.WAL.ObsoleteFiles)}
	return st, nil
}

func (s *Store) measure(ctx context.Context, kind byte, u *Usage) error {
	bytes, err := s.db.EstimateDiskUsage([]byte{kind}, []byte{kind + 1})
	if err != nil {
		return storeError("estimating", err)
	}
	u.Bytes += bytes
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kind}, UpperBound: []byte{kind + 1}})
	if err != nil {
		return storeError("counting", err)
	}
	defer it.Close()
	const look = 1 << 12
	for ok := it.First(); ok; ok = it.Next() {
		if u.Count++; u.Count%look == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return storeError("counting", it.Error())
}
