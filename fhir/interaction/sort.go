package interaction

import (
	"bytes"
	"cmp"
	"container/heap"
	"context"
	"errors"
	"slices"

	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/search"
	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/sealed"
)

// ranked is a match with its place in the order: its sort keys, and its storage
// key, which makes the order total.
type ranked struct {
	hit
	rank rank
}

// rank is a place in the order of a sorted search.
type rank struct {
	Key []byte               `json:"k"`
	ID  repository.StorageID `json:"i"`
}

func (a rank) compare(b rank) int {
	return cmp.Or(bytes.Compare(a.Key, b.Key), bytes.Compare(a.ID[:], b.ID[:]))
}

// farthest is a heap whose root is the match that stands last.
type farthest []ranked

func (h farthest) Len() int           { return len(h) }
func (h farthest) Less(i, j int) bool { return h[i].rank.compare(h[j].rank) > 0 }
func (h farthest) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *farthest) Push(v any)        { *h = append(*h, v.(ranked)) }
func (h *farthest) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// sorted looks at every match, opens of it what the order reads, and keeps the
// first ones behind the position (R4 search.html#sort). Past the bound of
// candidates the search is refused, never answered in a wrong order.
//
// A resource that changed after the first page was made keeps the place of its
// version of that time, and one that was created after has none, so that no
// resource appears on two pages.
func (x *finder) sorted(ctx context.Context, q *search.Search, from position, count int) (p page, err error) {
	if from.Started == 0 {
		if from.Started, err = x.Store.Stamp(ctx); err == nil {
			err = x.underway.settle(ctx, from.Started)
		}
		if err != nil {
			return page{}, err
		}
	}
	var first farthest
	n := 0
	for i, e := range q.Expressions {
		var failed error
		err := x.find(ctx, e, sortClasses(q, i), "", func() int { return candidatePage }, func(h hit, _ string) bool {
			r, ok, err := x.place(ctx, q, i, h, from.Started)
			if failed = err; err != nil {
				return false
			}
			n++
			if !ok || from.Rank != nil && r.compare(*from.Rank) <= 0 {
				return true
			}
			h.tree, h.json, h.whole = nil, nil, false // as many trees as matches would not be bounded
			if heap.Push(&first, ranked{h, r}); len(first) > count+1 {
				heap.Pop(&first)
			}
			return true
		})
		if err = errors.Join(err, failed); err != nil {
			return page{}, err
		}
	}
	slices.SortFunc(first, func(a, b ranked) int { return a.rank.compare(b.rank) })
	for i, r := range first {
		if len(p.hits) == count || !x.call.room.take(len(r.stored.Record.Body)) {
			if len(p.hits) == 0 {
				return page{}, answerTooLarge()
			}
			p.next = &position{Started: from.Started, Rank: &first[i-1].rank}
			break
		}
		p.hits = append(p.hits, r.hit)
	}
	if from.Rank == nil {
		p.total = &n
	}
	return p, nil
}

// sortClasses are the classes that the order of the i-th expression reads.
func sortClasses(q *search.Search, i int) (classes field.ClassSet) {
	for _, key := range q.Sort {
		classes |= key.Parameters[i].Needs(search.NoModifier)
	}
	return classes
}

// place is where a match stands; false when it was created after the first
// page.
func (x *finder) place(ctx context.Context, q *search.Search, i int, h hit, started repository.Stamp) (rank, bool, error) {
	tree := x.searchedOf(h)
	if h.stored.Record.Updated > started {
		old, err := x.before(ctx, h.stored, started)
		if err != nil || old == nil {
			return rank{}, false, err
		}
		if tree, err = x.Vault.Open(old, h.mask&sortClasses(q, i)); err != nil {
			return rank{}, false, err
		}
		tree = x.Redactor.Searched(tree, h.mask)
	}
	return x.rank(q, i, h.stored.Record.Key.ID, tree), true, nil
}

func (x *finder) rank(q *search.Search, i int, id repository.StorageID, tree *fhir.Resource) rank {
	r := rank{ID: id}
	for _, key := range q.Sort {
		v, _ := x.Catalog.SortValue(key.Parameters[i], tree, key.Descending)
		r.Key = search.AppendSortKey(r.Key, v)
	}
	return r
}

// before is the version that was current at the time, nil when there was none.
func (x *finder) before(ctx context.Context, st *sealed.Stored, at repository.Stamp) (*sealed.Stored, error) {
	for n := st.Record.Version - 1; n > 0; n-- {
		old, err := x.Vault.LoadVersion(ctx, st.Record.Key, n)
		switch {
		case errors.Is(err, repository.ErrNotFound), errors.Is(err, sealed.ErrErased):
			return nil, nil
		case err != nil:
			return nil, err
		case old.Record.Updated > at:
			continue
		case old.Head.Deleted:
			return nil, nil
		}
		return old, nil
	}
	return nil, nil
}
