package localstore

import (
	"container/heap"

	"github.com/cockroachdb/pebble/v2"

	"github.com/fieldseal/fieldseal/repository"
)

// union is the ascending union of the lists of many tokens. They share one
// Pebble iterator; of each a few entries are read ahead, more the further it is
// followed, so that five hundred lists cost five hundred seeks and some memory,
// not five hundred iterators.
type union struct {
	*meter
	code     typeCode
	tokens   []repository.Token
	it       *pebble.Iterator
	key      []byte   // scratch
	branches branches // those that have not ended, once begun
	begun    bool
}

const (
	leastAhead = 4
	mostAhead  = 64
)

// branch is one list.
type branch struct {
	token repository.Token
	ahead []ordinal // read, ascending; the first is where the branch stands
	room  int       // how many to read next time
	ended bool      // nothing follows what was read
}

func (u *union) open(view pebble.Reader) (err error) {
	u.it, err = view.NewIter(&pebble.IterOptions{})
	return storeError("reading index", err)
}

func (u *union) close() {
	if u.it != nil {
		u.it.Close()
	}
}

func (u *union) seek(target ordinal) (ordinal, bool, error) {
	if !u.begun {
		if err := u.begin(target); err != nil {
			return 0, false, err
		}
	}
	for len(u.branches) > 0 && u.branches[0].ahead[0] < target {
		left, err := u.advance(u.branches[0], target)
		switch {
		case err != nil:
			return 0, false, err
		case left:
			heap.Fix(&u.branches, 0)
		default:
			heap.Pop(&u.branches)
		}
	}
	if len(u.branches) == 0 {
		return 0, false, nil
	}
	return u.branches[0].ahead[0], true, nil
}

func (u *union) begin(target ordinal) error {
	u.begun = true
	u.branches = make(branches, 0, len(u.tokens))
	for _, t := range u.tokens {
		b := &branch{token: t, room: leastAhead}
		left, err := u.advance(b, target)
		if err != nil {
			return err
		}
		if left {
			u.branches = append(u.branches, b)
		}
	}
	heap.Init(&u.branches)
	return nil
}

// advance moves a branch to the target and reports whether it has one.
func (u *union) advance(b *branch, target ordinal) (bool, error) {
	for len(b.ahead) > 0 && b.ahead[0] < target {
		b.ahead = b.ahead[1:]
	}
	if len(b.ahead) > 0 || b.ended {
		return len(b.ahead) > 0, nil
	}
	u.key = appendOrdinal(appendTokenPrefix(u.key[:0], u.code, b.token), target)
	ahead := make([]ordinal, 0, b.room)
	if err := u.step(); err != nil {
		return false, err
	}
	ok := u.it.SeekPrefixGE(u.key)
	for ok && len(ahead) < b.room {
		o, _ := readOrdinal(u.it.Key())
		ahead = append(ahead, o)
		if err := u.step(); err != nil {
			return false, err
		}
		ok = u.it.Next()
	}
	b.ahead, b.ended, b.room = ahead, !ok, min(2*b.room, mostAhead)
	return len(ahead) > 0, storeError("reading index", u.it.Error())
}

// branches is a heap by where they stand.
type branches []*branch

func (h branches) Len() int           { return len(h) }
func (h branches) Less(i, j int) bool { return h[i].ahead[0] < h[j].ahead[0] }
func (h branches) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *branches) Push(x any)        { *h = append(*h, x.(*branch)) }
func (h *branches) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
