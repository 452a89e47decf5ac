package oauth

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/fieldseal/fieldseal/authz/token"
	"github.com/fieldseal/fieldseal/repository"
)

// newFamily draws the id of a family; those of one account have one beginning,
// so that they are found among those of all.
func (s *Server) newFamily(account string) string { return s.familiesIn(account) + rand.Text() }

func (s *Server) familiesIn(account string) string {
	who := s.pseudonym(account)
	return "~" + hex.EncodeToString(who[:]) + "/"
}

// earlierFamilies are the beginnings of the ids that earlier versions gave,
// UUIDs; the last ends with the refresh tokens of then.
const earlierFamilies = "0123456789abcdef"

// family is the row of one, as it is stored.
type family struct {
	grantRow
	id string
}

// families are those of an account.
func (s *Server) families(ctx context.Context, account string) (all []family, err error) {
	who, prefixes := s.pseudonym(account), []string{s.familiesIn(account)}
	for _, digit := range earlierFamilies {
		prefixes = append(prefixes, string(digit))
	}
	for _, prefix := range prefixes {
		for stored, err := range s.Table.Scan(ctx, grantKey(prefix)) {
			if err != nil {
				return nil, fmt.Errorf("reading grants: %w", err)
			}
			f := family{id: string(stored.Key[len(grantKey("")):])}
			if json.Unmarshal(stored.Value, &f.grantRow) == nil && f.Format == 1 && f.Account == who {
				all = append(all, f)
			}
		}
	}
	return all, nil
}

// inForce reports whether a refresh or access token of the family may work.
func (g grantRow) inForce(now int64) bool {
	return g.Revoked == 0 && (g.Keep-int64(keepUsed.Seconds()) > now ||
		slices.ContainsFunc(g.Tokens, func(t issuedToken) bool { return t.Expires > now }))
}

// Grant is an app that a user has authorised.
type Grant struct {
	ID     string // of a family of tokens; empty: an answer that is remembered
	Client string
	Since  time.Time
	Used   time.Time // when it last got an access token; zero: unknown
	Scopes []string  // nil: unknown
}

// Grants are the authorisations of an account that are in force, and the answers
// that are remembered, for the page on which a user ends them (access.md, SMART 13).
func (s *Server) Grants(ctx context.Context, account string) (found []Grant, err error) {
	now := s.Now().Unix()
	all, err := s.families(ctx, account)
	if err != nil {
		return nil, err
	}
	for _, f := range all {
		if f.inForce(now) {
			of := Grant{ID: f.id, Client: f.Client, Since: time.Unix(f.Created, 0), Scopes: f.Scopes}
			if f.Used != 0 {
				of.Used = time.Unix(f.Used, 0)
			}
			found = append(found, of)
		}
	}
	rows, err := s.rememberedRows(ctx, account)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		if row.Keep > now {
			found = append(found, Grant{Client: row.Client, Since: time.Unix(row.Since, 0), Scopes: row.Scopes})
		}
	}
	return found, nil
}

// EndGrants ends everything that an account gave to apps, a code that is under
// way too, forgets what it allowed, and returns how many families that were:
// after its credentials changed, or whoever may say so ends its access.
func (s *Server) EndGrants(ctx context.Context, account string) (n int, err error) {
	if err := s.forget(ctx, account, ""); err != nil {
		return 0, err
	}
	ids, err := s.familiesOf(ctx, account, "")
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	if err := s.record(ctx, event{subtype: "token-revoke", claims: token.Claims{Account: account}}); err != nil {
		return 0, err
	}
	return s.endAll(ctx, ids)
}

// EndApp ends all that an account authorised a client to: what is remembered,
// which goes first, so that no new token comes silently, and its families.
// Without either it is ErrNotFound.
func (s *Server) EndApp(ctx context.Context, account, client string) error {
	all, err := s.Grants(ctx, account)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(all, func(g Grant) bool { return g.Client == client }) {
		return repository.ErrNotFound
	}
	if err := s.record(ctx, event{subtype: "token-revoke", claims: token.Claims{Account: account}, client: client}); err != nil {
		return err
	}
	if err := s.forget(ctx, account, client); err != nil {
		return err
	}
	ids, err := s.familiesOf(ctx, account, client)
	if err != nil {
		return err
	}
	_, err = s.endAll(ctx, ids)
	return err
}

// familiesOf are the families of an account that were not revoked, those of one
// client when it is not empty.
func (s *Server) familiesOf(ctx context.Context, account, client string) (ids []string, err error) {
	all, err := s.families(ctx, account)
	for _, f := range all {
		if f.Revoked == 0 && (client == "" || f.Client == client) {
			ids = append(ids, f.id)
		}
	}
	return ids, err
}

func (s *Server) endAll(ctx context.Context, ids []string) (n int, err error) {
	for _, id := range ids {
		if err := s.endGrant(ctx, id); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
