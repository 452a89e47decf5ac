package oauth

import (
	"context"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/fieldseal/fieldseal/authz/client"
	"github.com/fieldseal/fieldseal/authz/smart"
	"github.com/fieldseal/fieldseal/repository"
)

// remembered starts the keys of consents that are remembered.
const remembered = "remembered/"

// rememberedRow is what a user allowed an app, so that the same need not be
// asked again. Its key names account, client, redirect URI and patient by keyed
// pseudonyms; sum holds the row to them and to the client as it was registered.
type rememberedRow struct {
	Format int                  `json:"format"`
	Client string               `json:"client"`
	Since  int64                `json:"since"`
	Keep   int64                `json:"keep"`
	Scopes []string             `json:"scopes"`
	Sum    repository.StorageID `json:"sum"`
}

// Memory is what people allowed one app before, at one redirect URI. The nil
// Memory remembers nothing.
type Memory struct {
	s        *Server
	client   client.Client
	redirect string
}

// memory is that of a request, nil where it has to be asked for each time:
// administration, and public apps that the server cannot tell from an impostor
// on the same device (RFC 8252 §8.6).
func (s *Server) memory(c client.Client, redirect string, scopes []string) *Memory {
	u, err := url.Parse(redirect)
	if s.ConsentLifetime <= 0 || slices.Contains(scopes, smart.Admin) || err != nil || c.Auth == client.Public && u.Scheme != "https" {
		return nil
	}
	return &Memory{s, c, redirect}
}

// Lifetime is how long an answer is remembered; 0: not at all.
func (m *Memory) Lifetime() time.Duration {
	if m == nil {
		return 0
	}
	return m.s.ConsentLifetime
}

func (s *Server) rememberedOf(account string) string {
	who := s.pseudonym(account)
	return remembered + hex.EncodeToString(who[:]) + "/"
}

// key is the row's; patient is empty when the app is for none in particular.
func (m *Memory) key(account, patient string) []byte {
	text, _ := json.Marshal([]string{account, m.client.ID, m.redirect, patient}) // strings cannot fail
	what := m.s.PRF("oauth-remembered", string(text))
	return []byte(m.s.rememberedOf(account) + hex.EncodeToString(what[:]))
}

// sum changes with the key, the scopes, the time, and everything that is
// registered of the client: name, keys, redirect URIs and scopes.
func (m *Memory) sum(key []byte, row rememberedRow) (repository.StorageID, error) {
	text, err := json.Marshal([]any{string(key), row.Format, row.Client, row.Since, row.Keep, row.Scopes, m.client})
	if err != nil {
		return repository.StorageID{}, fmt.Errorf("encoding a consent: %w", err)
	}
	return m.s.PRF("oauth-consent", string(text)), nil
}

// Recall reports whether the account allowed the app all of these scopes for the
// patient, in one decision that is still remembered.
func (m *Memory) Recall(ctx context.Context, account, patient string, scopes []string) (bool, error) {
	if m == nil || len(scopes) == 0 {
		return false, nil
	}
	key := m.key(account, patient)
	stored, err := m.s.Table.Get(ctx, key)
	if errors.Is(err, repository.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading a consent: %w", err)
	}
	var row rememberedRow
	if json.Unmarshal(stored.Value, &row) != nil || row.Format != 1 || row.Keep <= m.s.Now().Unix() {
		return false, nil
	}
	sum, err := m.sum(key, row)
	if err != nil || subtle.ConstantTimeCompare(sum[:], row.Sum[:]) != 1 || m.s.Now().After(time.Unix(row.Since, 0).Add(m.s.ConsentLifetime)) {
		return false, err
	}
	return !slices.ContainsFunc(scopes, func(scope string) bool { return !smart.Covered(row.Scopes, scope) }), nil
}

// keep notes a decision in place of the one before: what was allowed then and
// not now has to be asked for again.
func (m *Memory) keep(ctx context.Context, account, patient string, scopes []string) (err error) {
	now, key := m.s.Now(), m.key(account, patient)
	row := rememberedRow{Format: 1, Client: m.client.ID, Since: now.Unix(), Keep: now.Add(m.s.ConsentLifetime).Unix(), Scopes: scopes}
	if row.Sum, err = m.sum(key, row); err != nil {
		return err
	}
	value, err := json.Marshal(row)
	if err != nil {
		return fmt.Errorf("encoding a consent: %w", err)
	}
	for {
		stored, err := m.s.Table.Get(ctx, key)
		if err != nil && !errors.Is(err, repository.ErrNotFound) {
			return fmt.Errorf("reading a consent: %w", err)
		}
		if _, err = m.s.Table.PutIf(ctx, key, value, stored.Revision); !errors.Is(err, repository.ErrConflict) {
			return err
		}
	}
}

// Forget forgets all that the account allowed the app.
func (m *Memory) Forget(ctx context.Context, account string) error {
	if m == nil {
		return nil
	}
	return m.s.forget(ctx, account, m.client.ID)
}

// forget forgets what the account allowed a client; empty: all clients.
func (s *Server) forget(ctx context.Context, account, client string) error {
	for {
		again := false
		rows, err := s.rememberedRows(ctx, account)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if client != "" && row.Client != client {
				continue
			}
			err = s.Table.DeleteIf(ctx, row.key, row.revision)
			if errors.Is(err, repository.ErrConflict) {
				again = true // it was written anew meanwhile
			} else if err != nil && !errors.Is(err, repository.ErrNotFound) {
				return fmt.Errorf("forgetting a consent: %w", err)
			}
		}
		if !again {
			return nil
		}
	}
}

// keptRow is a row as it is stored.
type keptRow struct {
	rememberedRow
	key      []byte
	revision uint64
}

// rememberedRows are those of an account.
func (s *Server) rememberedRows(ctx context.Context, account string) (all []keptRow, err error) {
	for stored, err := range s.Table.Scan(ctx, []byte(s.rememberedOf(account))) {
		if err != nil {
			return nil, fmt.Errorf("reading consents: %w", err)
		}
		row := keptRow{key: slices.Clone(stored.Key), revision: stored.Revision}
		if json.Unmarshal(stored.Value, &row.rememberedRow) == nil {
			all = append(all, row)
		}
	}
	return all, nil
}
