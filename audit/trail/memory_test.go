package trail

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/fieldseal/fieldseal/repository"
)

// memoryLog is a Log in memory with faults.
type memoryLog struct {
	mu      sync.Mutex
	entries []repository.LogEntry // by ID
	appends int
	// fault decides an Append of n entries: how many are inserted, and the error
	// that is returned. nil: no fault.
	fault func(n int) (int, error)
}

func (l *memoryLog) at(id string) (int, bool) {
	return slices.BinarySearchFunc(l.entries, id, func(e repository.LogEntry, id string) int { return cmp.Compare(e.ID, id) })
}

func (l *memoryLog) Append(ctx context.Context, entries []repository.LogEntry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	l.appends++
	n, fault := len(entries), error(nil)
	if l.fault != nil {
		n, fault = l.fault(n)
	}
	for _, e := range entries[:n] {
		i, taken := l.at(e.ID)
		if taken {
			return cmp.Or(fault, repository.ErrConflict)
		}
		e.Body, e.Terms = bytes.Clone(e.Body), slices.Clone(e.Terms)
		l.entries = slices.Insert(l.entries, i, e)
	}
	return fault
}

func (l *memoryLog) between(from, to string) []repository.LogEntry {
	i, _ := l.at(from)
	j, _ := l.at(to)
	return l.entries[i:max(i, j)]
}

func (l *memoryLog) Range(ctx context.Context, from, to string, limit int) ([]repository.LogEntry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	got := l.between(from, to)
	return slices.Clone(got[:min(limit, len(got))]), ctx.Err()
}

func (l *memoryLog) Last(ctx context.Context, from, to string) (repository.LogEntry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	got := l.between(from, to)
	if len(got) == 0 {
		return repository.LogEntry{}, repository.ErrNotFound
	}
	return got[len(got)-1], ctx.Err()
}

func (l *memoryLog) Find(ctx context.Context, q repository.LogQuery) ([]repository.LogEntry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []repository.LogEntry
	for _, e := range l.entries {
		before := q.BeforeID == "" || e.Time < q.BeforeTime || e.Time == q.BeforeTime && e.ID < q.BeforeID
		if e.Time == 0 || e.Time < q.From || e.Time > q.To || !before {
			continue
		}
		if !slices.ContainsFunc(q.All, func(c []repository.Token) bool {
			return !slices.ContainsFunc(c, func(t repository.Token) bool { return slices.Contains(e.Terms, t) })
		}) {
			out = append(out, e)
		}
	}
	sort.Slice(out, func(i, j int) bool {
		return cmp.Or(cmp.Compare(out[j].Time, out[i].Time), cmp.Compare(out[j].ID, out[i].ID)) < 0
	})
	return out[:min(len(out), q.Limit)], ctx.Err()
}

// Put and Delete are an attacker's.
func (l *memoryLog) put(e repository.LogEntry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i, ok := l.at(e.ID); ok {
		l.entries[i] = e
	} else {
		l.entries = slices.Insert(l.entries, i, e)
	}
}

func (l *memoryLog) delete(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i, ok := l.at(id); ok {
		l.entries = slices.Delete(l.entries, i, i+1)
	}
}

func (l *memoryLog) setFault(f func(n int) (int, error)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault = f
}

// countingLog counts the commands that append.
type countingLog struct {
	Log
	calls atomic.Int64
}

func (c *countingLog) batches() int64 { return c.calls.Load() }

func (c *countingLog) Append(ctx context.Context, entries []repository.LogEntry) error {
	c.calls.Add(1)
	return c.Log.Append(ctx, entries)
}
