package login

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/fieldseal/fieldseal/repository"
)

const (
	throttlePrefix = "attempts/"
	knownPrefix    = "known/"
)

// What is counted apart from an account's passwords stands behind its name.
const (
	factorCount = "\x00factor"
	enrolCount  = "\x00enrol"
)

// forgotten is how long after the last attempt a count starts anew.
const forgotten = 2 * time.Hour

// knownLife is how long a network is known after a login from it.
const knownLife = 90 * 24 * time.Hour

// limit is a kind of count: how many attempts are free, and the longest delay.
// Delays double from one second.
type limit struct {
	kind    string
	free    int
	longest time.Duration
}

// The counts. One account from one network is somebody who guesses or forgot;
// one network is somebody who tries one password on many; one account from
// anywhere is many who guess. The latter two do not hold up who logged in from
// the network before.
var (
	ofPair    = limit{"pair", 5, 15 * time.Minute}
	ofNetwork = limit{"network", 60, 15 * time.Minute}
	ofAccount = limit{"account", 50, 15 * time.Minute}
)

// attemptsRow is the stored count. It names nobody: its key is a pseudonym.
type attemptsRow struct {
	Format int   `json:"format"`
	Count  int   `json:"count"`
	Until  int64 `json:"until"` // no attempt before, Unix milliseconds
	Keep   int64 `json:"keep"`  // when the count starts anew, Unix seconds
}

func (s *Service) pseudonym(kind, value string) string {
	id := s.Sealer.StorageID("login-"+kind, value)
	return hex.EncodeToString(id[:])
}

func (s *Service) throttleKey(kind, value string) []byte {
	return []byte(throttlePrefix + kind + "/" + s.pseudonym(kind, value))
}

// pairsOf is the prefix of all counts of an account by network.
func (s *Service) pairsOf(prefix, account string) string {
	return prefix + ofPair.kind + "/" + s.pseudonym(ofAccount.kind, account) + "/"
}

func (s *Service) pairKey(prefix, account, network string) []byte {
	return []byte(s.pairsOf(prefix, account) + s.pseudonym(ofPair.kind, account+"\x00"+network))
}

// network is what a peer can change easily: the host part of its address.
func network(peer string) string {
	a, err := netip.ParseAddr(peer)
	if err != nil {
		return peer
	}
	a = a.Unmap()
	bits := 24
	if a.Is6() {
		bits = 56
	}
	p, err := a.WithZone("").Prefix(bits)
	if err != nil {
		return peer
	}
	return p.String()
}

// attempt counts one before it is checked, so that concurrent ones do not slip
// through, or returns ErrTooMany. account may be any text.
func (s *Service) attempt(ctx context.Context, account, peer string) error {
	net := network(peer)
	known, err := s.known(ctx, account, net)
	if err != nil {
		return err
	}
	if !known { // a network that waits already leaves no row of every name it thinks of
		if _, err := s.counted(ctx, s.throttleKey(ofNetwork.kind, net)); err != nil {
			return s.throttled(err, peer)
		}
	}
	if err := s.count(ctx, ofPair, s.pairKey(throttlePrefix, account, net)); err != nil || known {
		return s.throttled(err, peer)
	}
	if err = s.count(ctx, ofNetwork, s.throttleKey(ofNetwork.kind, net)); err == nil {
		err = s.count(ctx, ofAccount, s.throttleKey(ofAccount.kind, account))
	}
	return s.throttled(err, peer)
}

func (s *Service) throttled(err error, peer string) error {
	if errors.Is(err, ErrTooMany) {
		s.Gatekeeper.RecordPreAuth(peer, "login-throttled")
	}
	return err
}

// tally is a stored count.
type tally struct {
	attemptsRow
	revision uint64
}

// counted reads a count, or returns ErrTooMany while there must be no attempt.
func (s *Service) counted(ctx context.Context, key []byte) (r tally, err error) {
	r.Format = format
	stored, err := s.Table.Get(ctx, key)
	switch {
	case errors.Is(err, repository.ErrNotFound):
	case err != nil:
		return r, fmt.Errorf("reading a count of logins: %w", err)
	case json.Unmarshal(stored.Value, &r.attemptsRow) != nil || r.Format != format:
		return r, fmt.Errorf("stored count of logins: %w", repository.ErrCorrupt)
	}
	r.revision = stored.Revision
	now := s.Now()
	if r.Keep <= now.Unix() {
		r.attemptsRow = attemptsRow{Format: format}
	}
	if now.UnixMilli() < r.Until {
		return r, ErrTooMany
	}
	return r, nil
}

func (s *Service) count(ctx context.Context, l limit, key []byte) error {
	for {
		r, err := s.counted(ctx, key)
		if err != nil {
			return err
		}
		now := s.Now()
		r.Count++
		if over := r.Count - l.free; over >= 0 {
			r.Until = now.Add(min(l.longest, time.Second<<min(over, 20))).UnixMilli()
		}
		r.Keep = now.Add(forgotten).Unix()
		value, err := json.Marshal(r.attemptsRow)
		if err != nil {
			return fmt.Errorf("encoding a count of logins: %w", err)
		}
		if _, err = s.Table.PutIf(ctx, key, value, r.revision); !errors.Is(err, repository.ErrConflict) {
			return err
		}
	}
}

// succeeded forgets the count of the account from here, and knows the network.
func (s *Service) succeeded(ctx context.Context, account, peer string) error {
	net := network(peer)
	if err := s.forget(ctx, s.pairKey(throttlePrefix, account, net)); err != nil {
		return err
	}
	known := s.pairKey(knownPrefix, account, net)
	stored, err := s.Table.Get(ctx, known)
	if err != nil && !errors.Is(err, repository.ErrNotFound) {
		return fmt.Errorf("reading a known network: %w", err)
	}
	value, err := json.Marshal(attemptsRow{Format: format, Keep: s.Now().Add(knownLife).Unix()})
	if err != nil {
		return fmt.Errorf("encoding a known network: %w", err)
	}
	if _, err = s.Table.PutIf(ctx, known, value, stored.Revision); errors.Is(err, repository.ErrConflict) {
		return nil // another login from there wrote it
	}
	return err
}

// known reports whether the account logged in from the network of late.
func (s *Service) known(ctx context.Context, account, network string) (bool, error) {
	stored, err := s.Table.Get(ctx, s.pairKey(knownPrefix, account, network))
	if errors.Is(err, repository.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading a known network: %w", err)
	}
	var r attemptsRow
	return json.Unmarshal(stored.Value, &r) == nil && r.Format == format && r.Keep > s.Now().Unix(), nil
}

// forget removes a count; one that changes at the same time is no error: the
// change counts.
func (s *Service) forget(ctx context.Context, key []byte) error {
	stored, err := s.Table.Get(ctx, key)
	if err == nil {
		err = s.Table.DeleteIf(ctx, key, stored.Revision)
	}
	if err != nil && !errors.Is(err, repository.ErrNotFound) && !errors.Is(err, repository.ErrConflict) {
		return fmt.Errorf("forgetting a count of logins: %w", err)
	}
	return nil
}

// Unlock forgets all counts of an account.
func (s *Service) Unlock(ctx context.Context, account string) error {
	for _, subject := range []string{account, account + factorCount, account + enrolCount} {
		keys := [][]byte{s.throttleKey(ofAccount.kind, subject)}
		for stored, err := range s.Table.Scan(ctx, []byte(s.pairsOf(throttlePrefix, subject))) {
			if err != nil {
				return fmt.Errorf("reading counts of logins: %w", err)
			}
			keys = append(keys, slices.Clone(stored.Key))
		}
		for _, key := range keys {
			if err := s.forget(ctx, key); err != nil {
				return err
			}
		}
	}
	return nil
}
