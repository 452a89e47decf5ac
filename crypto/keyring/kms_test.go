package keyring_test

import (
	"sync"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/crypto/keyring/keyringtest"
	"github.com/fieldseal/fieldseal/crypto/kms/kmstest"
)

type outage struct {
	kms   *kmstest.KMS
	clock *keyringtest.Clock
	table *keyringtest.Table
	ring  *keyring.Ring
}

func newOutage(t *testing.T) outage {
	t.Helper()
	s := outage{kms: kmstest.New(), clock: keyringtest.NewClock(), table: keyringtest.NewTable()}
	s.ring = keyringtest.InitRing(t, keyring.Options{Table: s.table, Wrapper: s.kms, Now: s.clock.Now,
		KEKTTL: 15 * time.Minute, Grace: time.Hour, KMSTimeout: time.Second})
	ensure(t, s.ring, 3)
	return s
}

func TestKMSDownAtOpenIsUnavailable(t *testing.T) {
	t.Parallel()
	s := newOutage(t)
	s.kms.SetDown(true)
	_, err := keyring.Open(t.Context(), keyring.Options{Table: s.table, Wrapper: s.kms})
	wantErr(t, "opening with the KMS down", err, keyring.ErrUnavailable)
	_, err = keyring.Init(t.Context(), keyring.Options{Table: keyringtest.NewTable(), Wrapper: s.kms})
	wantErr(t, "initialising with the KMS down", err, keyring.ErrUnavailable)
}

func TestKMSDownServesGraceThenFailsClosed(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(*kmstest.KMS){
		"down": func(k *kmstest.KMS) { k.SetDown(true) },
		"slow": func(k *kmstest.KMS) { k.SetSlow(time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newOutage(t)
			fail(s.kms)
			s.clock.Advance(16 * time.Minute)
			mustOwner(t, s.ring, owner(0))
			if _, err := s.ring.EnsureOwner(t.Context(), owner(50)); err != nil {
				t.Errorf("creating within grace: %v", err)
			}
			if st, err := s.ring.Status(t.Context()); err != nil || st.KMS == "ok" {
				t.Errorf("status within grace says %q, %v", st.KMS, err)
			}
			s.clock.Advance(59*time.Minute - time.Second)
			mustOwner(t, s.ring, owner(1)) // the last cached owner before the end
			s.clock.Advance(time.Second)
			_, err := s.ring.Owner(t.Context(), owner(2))
			wantErr(t, "after grace", err, keyring.ErrUnavailable)
			s.clock.Advance(keyring.MaxOwnerTTL)
			_, err = s.ring.Owner(t.Context(), owner(1))
			wantErr(t, "cached owner, a minute after grace", err, keyring.ErrUnavailable)
			_, err = s.ring.EnsureOwner(t.Context(), owner(60))
			wantErr(t, "creating after grace", err, keyring.ErrUnavailable)
			_, err = s.ring.CurrentAuditEpoch(t.Context())
			wantErr(t, "audit epoch after grace", err, keyring.ErrUnavailable)
			wantErr(t, "rotating after grace", s.ring.RotateKEK(t.Context(), nil), keyring.ErrUnavailable)

			s.kms.SetDown(false)
			s.kms.SetSlow(0)
			s.clock.Advance(3 * time.Second)
			mustOwner(t, s.ring, owner(1))
		})
	}
}

func TestRevokedKeyHasNoGrace(t *testing.T) {
	t.Parallel()
	s := newOutage(t)
	s.kms.SetRevoked(true)
	s.clock.Advance(14 * time.Minute)
	mustOwner(t, s.ring, owner(0)) // the next check is due at 15 minutes
	s.clock.Advance(2 * time.Minute)
	_, err := s.ring.Owner(t.Context(), owner(0))
	wantErr(t, "revoked", err, keyring.ErrRevoked, keyring.ErrUnavailable)
	// An outage right after the refusal must not bring grace back.
	s.kms.SetRevoked(false)
	s.kms.SetDown(true)
	s.clock.Advance(10 * time.Second)
	_, err = s.ring.Owner(t.Context(), owner(0))
	wantErr(t, "down after revoked", err, keyring.ErrUnavailable)
}

func TestReplacedKeystoreHasNoGrace(t *testing.T) {
	t.Parallel()
	s := newOutage(t)
	other := keyringtest.NewTable()
	keyringtest.InitRing(t, keyring.Options{Table: other, Wrapper: s.kms})
	row, err := other.Get(t.Context(), []byte("tenant"))
	if err != nil {
		t.Fatal(err)
	}
	s.table.Put(row.Key, row.Value)
	s.clock.Advance(16 * time.Minute)
	_, err = s.ring.Owner(t.Context(), owner(0))
	wantErr(t, "keystore of another tenant", err, keyring.ErrUnavailable)
}

// TestOutageDoesNotQueueRequests lets many requests meet a hanging KMS: they
// share one visit instead of waiting for one timeout each.
func TestOutageDoesNotQueueRequests(t *testing.T) {
	t.Parallel()
	s := newOutage(t)
	s.kms.SetSlow(time.Hour)
	s.clock.Advance(2 * time.Hour)
	_, before := s.kms.Calls()
	start := time.Now()
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			if _, err := s.ring.Owner(t.Context(), owner(i%3)); err == nil {
				t.Error("a key after grace")
			}
		})
	}
	wg.Wait()
	_, after := s.kms.Calls()
	if after != before+1 || time.Since(start) > time.Minute {
		t.Errorf("%d visits, %v", after-before, time.Since(start))
	}
}

func TestClockGoingBackDoesNotLengthenLives(t *testing.T) {
	t.Parallel()
	s := newOutage(t)
	mustOwner(t, s.ring, owner(0))
	_, before := s.kms.Calls()
	s.clock.Advance(-time.Hour)
	mustOwner(t, s.ring, owner(0))
	if _, after := s.kms.Calls(); after == before {
		t.Error("a clock that went back was believed")
	}
}

func TestUnreadableTableIsUnavailable(t *testing.T) {
	t.Parallel()
	s := newOutage(t)
	s.table.SetFault(func(keyringtest.Op, []byte) error { return errKilled })
	s.clock.Advance(2 * time.Minute)
	_, err := s.ring.Owner(t.Context(), owner(0))
	wantErr(t, "reading", err, keyring.ErrUnavailable)
	_, err = s.ring.EnsureOwner(t.Context(), owner(9))
	wantErr(t, "creating", err, keyring.ErrUnavailable)
	wantErr(t, "fencing", s.ring.Fence(t.Context(), owner(0)), keyring.ErrUnavailable)
}
