package token

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/repository"
)

// counting counts the calls of a table.
type counting struct {
	repository.Table
	calls *atomic.Int64
}

func (c counting) Get(ctx context.Context, key []byte) (repository.Row, error) {
	c.calls.Add(1)
	return c.Table.Get(ctx, key)
}

func (c counting) PutIf(ctx context.Context, key, value []byte, revision uint64) (uint64, error) {
	c.calls.Add(1)
	return c.Table.PutIf(ctx, key, value, revision)
}

// A check of a token costs at most one read of the store, and none for some
// seconds after; what is no token costs none at all.
func TestCheckReadsTheStoreOnce(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	clock := keyringtest.NewClock()
	i, err := New(Options{Table: counting{keyringtest.NewTable(), &calls}, StorageID: prf, Now: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	bearer, err := i.Issue(t.Context(), claims())
	if err != nil {
		t.Fatal(err)
	}
	cost := func(name, bearer string, want int64, refused error) {
		t.Helper()
		before := calls.Load()
		if _, err := i.Verify(t.Context(), bearer, ""); !errors.Is(err, refused) {
			t.Errorf("%s: %v", name, err)
		}
		if got := calls.Load() - before; got != want {
			t.Errorf("%s: %d calls of the store, want %d", name, got, want)
		}
	}
	cost("first", bearer, 1, nil)
	for range 100 {
		cost("kept", bearer, 0, nil)
	}
	clock.Advance(CacheTTL)
	cost("after the cache's time", bearer, 1, nil)
	cost("unknown", Draw(Prefix), 1, ErrInvalid)
	cost("no token", "Bearer", 0, ErrInvalid)
}
