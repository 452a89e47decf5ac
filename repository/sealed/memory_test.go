package sealed

import (
	"context"
	"iter"
	"slices"
	"sync"

	"github.com/fieldseal/fieldseal/repository"
)

// memory is an engine that tests can look into and stop: current versions in
// the order of their creation.
type memory struct {
	mu      sync.Mutex
	records []repository.Record
	at      map[repository.Key]int
	stamp   repository.Stamp
	// fault, when set, is asked before each Find, Commit and Retoken, and after
	// each Retoken.
	fault func(op string) error
}

var (
	_ repository.Store   = (*memory)(nil)
	_ repository.Indexer = (*memory)(nil)
	_ repository.Counter = (*memory)(nil)
)

func newMemory() *memory { return &memory{at: map[repository.Key]int{}, stamp: 1} }

func (m *memory) fail(op string) error {
	if m.fault == nil {
		return nil
	}
	return m.fault(op)
}

// clone is a backup.
func (m *memory) clone() *memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := newMemory()
	c.stamp = m.stamp
	for i, r := range m.records {
		c.records, c.at[r.Key] = append(c.records, r), i
	}
	return c
}

func (m *memory) Get(_ context.Context, k repository.Key) (repository.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i, ok := m.at[k]
	if !ok {
		return repository.Record{}, repository.ErrNotFound
	}
	r := m.records[i]
	r.Tokens = nil
	return r, nil
}

func (m *memory) GetVersion(ctx context.Context, k repository.Key, n repository.Version) (repository.Record, error) {
	r, err := m.Get(ctx, k)
	if err == nil && r.Version != n {
		err = repository.ErrNotFound
	}
	return r, err
}

func (m *memory) Commit(_ context.Context, b repository.Batch) (repository.Seq, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fail("commit"); err != nil {
		return "", err
	}
	for _, w := range b.Writes {
		i, ok := m.at[w.Record.Key]
		switch {
		case !ok && w.Expect == 0:
			m.at[w.Record.Key] = len(m.records)
			m.records = append(m.records, w.Record)
		case ok && m.records[i].Version == w.Expect:
			m.records[i] = w.Record
		default:
			return "", repository.ErrConflict
		}
	}
	return "", nil
}

func selects(q repository.Query, r repository.Record) bool {
	if r.Key.Type != q.Type || r.Deleted || q.Owner != nil && r.Owner != *q.Owner {
		return false
	}
	for _, clause := range q.All {
		if !slices.ContainsFunc(clause, func(t repository.Token) bool { return slices.Contains(r.Tokens, t) }) {
			return false
		}
	}
	return true
}

func (m *memory) Find(_ context.Context, q repository.Query) (p repository.Page, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fail("find"); err != nil {
		return p, err
	}
	from := 0
	if q.After != "" {
		from = int(q.After[0])<<8 | int(q.After[1]) + 1
	}
	for i := from; i < len(m.records); i++ {
		r := m.records[i]
		if !selects(q, r) {
			continue
		}
		if len(p.Records) == q.Limit {
			p.Next = p.Records[q.Limit-1].Position
			return p, nil
		}
		r.Tokens, r.Position = nil, repository.Cursor([]byte{byte(i >> 8), byte(i)})
		p.Records = append(p.Records, r)
	}
	return p, nil
}

func (m *memory) Count(_ context.Context, q repository.Query, _ int) (n int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.records {
		if selects(q, r) {
			n++
		}
	}
	return n, nil
}

func (m *memory) Estimate(ctx context.Context, typ string, anyOf []repository.Token) (int, error) {
	return m.Count(ctx, repository.Query{Type: typ, All: [][]repository.Token{anyOf}}, 0)
}

func (m *memory) Retoken(_ context.Context, rs []repository.Retoken) (n int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fail("before retoken"); err != nil {
		return 0, err
	}
	for _, r := range rs {
		if i, ok := m.at[r.Key]; ok && m.records[i].Version == r.Version {
			m.records[i].Tokens = r.Tokens
			n++
		}
	}
	return n, m.fail("after retoken")
}

func (m *memory) Guards(_ context.Context, ts []repository.Token) ([]repository.Guard, error) {
	return make([]repository.Guard, len(ts)), nil
}

func (m *memory) History(context.Context, repository.HistoryRange) (repository.Page, error) {
	return repository.Page{}, nil
}

func (m *memory) Changes(context.Context, repository.Seq) iter.Seq2[repository.Change, error] {
	return func(func(repository.Change, error) bool) {}
}

func (m *memory) Stamp(context.Context) (repository.Stamp, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stamp++
	return m.stamp, nil
}
