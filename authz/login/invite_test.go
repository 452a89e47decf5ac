package login

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestLinkIsUsedOnce, also by 16 browsers at once; a newer link, a reset and a
// day void it.
func TestLinkIsUsedOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	link := d.invite("user:nurse")
	if who, err := d.Invitation(t.Context(), link, peer); err != nil || who != "user:nurse" {
		t.Fatal(who, err)
	}
	var won atomic.Int32
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			if _, _, err := d.Accept(t.Context(), link, peer, phrase); err == nil {
				won.Add(1)
			} else if !errors.Is(err, ErrLink) {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 {
		t.Errorf("%d used one link", won.Load())
	}
	for name, void := range map[string]func(){
		"a newer link": func() { d.invite("user:nurse") },
		"a reset":      func() { d.must(d.Reset(t.Context(), "user:nurse")) },
		"a day":        func() { d.clock.Advance(LinkLife) },
	} {
		link := d.invite("user:nurse")
		void()
		if _, err := d.Invitation(t.Context(), link, peer); !errors.Is(err, ErrLink) {
			t.Errorf("%s: %v", name, err)
		}
		if _, _, err := d.Accept(t.Context(), link, peer, phrase); !errors.Is(err, ErrLink) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, bad := range []string{"", "fsi_", "fsi_" + strings.Repeat("A", 43), strings.Repeat("x", 1<<16)} {
		if _, err := d.Invitation(t.Context(), bad, peer); !errors.Is(err, ErrLink) {
			t.Errorf("%.10q: %v", bad, err)
		}
	}
}
