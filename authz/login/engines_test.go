package login

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/localstore"
	"github.com/fieldseal/fieldseal/repository/mongostore"
	"github.com/fieldseal/fieldseal/repository/mongostore/mongotest"
)

// TestEnginesUseALinkAndACodeOnce: of several that use one link, and of several that
// use one code, one wins, on the tables of both engines.
func TestEnginesUseALinkAndACodeOnce(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(*testing.T) repository.Table{"embedded": embedded, "mongodb": mongodb} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDeskOn(t, open(t))
			link := d.invite("user:nurse")
			once(t, 8, ErrLink, func() error { _, _, err := d.Accept(t.Context(), link, peer, phrase); return err })
			app, _ := d.withTOTP("user:chief")
			code := d.app(app)
			halves := make(chan string, 4) // more would be slowed
			for range cap(halves) {
				half, _, err := d.Password(t.Context(), "", peer, "chief", phrase)
				d.must(err)
				halves <- half
			}
			once(t, cap(halves), ErrWrong, func() error { _, _, err := d.TOTP(t.Context(), <-halves, peer, code); return err })
		})
	}
}

// once does something several times at once: one succeeds, all others are refused.
func once(t *testing.T, times int, refused error, do func() error) {
	t.Helper()
	var won atomic.Int32
	var all sync.WaitGroup
	for range times {
		all.Go(func() {
			if err := do(); err == nil {
				won.Add(1)
			} else if !errors.Is(err, refused) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 {
		t.Errorf("%d succeeded", won.Load())
	}
}

func embedded(t *testing.T) repository.Table {
	t.Helper()
	s, err := localstore.Open(t.Context(), localstore.Options{Dir: t.TempDir(), MinFree: 1, Ballast: -1, MemTable: 1 << 20, BlockCache: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s.Table("login")
}

func mongodb(t *testing.T) repository.Table {
	t.Helper()
	uri := mongotest.URI(t)
	s, err := mongostore.Open(t.Context(), mongostore.Options{URI: uri, Database: mongotest.Database(t, uri), MaxSkew: time.Hour, Timeout: 2 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s.Table("login")
}
