package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/authz/policy"
	"github.com/fieldseal/fieldseal/authz/token"
	"github.com/fieldseal/fieldseal/crypto/keyring"
	"github.com/fieldseal/fieldseal/fhir/interaction"
	"github.com/fieldseal/fieldseal/internal/adminapi"
	"github.com/fieldseal/fieldseal/internal/config"
)

var _ adminapi.Backend = (*App)(nil)

// operator is the agent of calls through the admin socket.
const operator = "user:operator"

// developmentClient is the client of tokens that operators issue.
const developmentClient = "fieldseal-cli"

func (a *App) operatorEvent(kind audit.Kind, subtype string, action audit.Action) audit.Event {
	return audit.Event{Kind: kind, Subtype: subtype, Action: action, Outcome: audit.Success,
		Agent: audit.Agent{Subject: operator, Client: developmentClient, Address: "local"}}
}

// record makes an event durable before the call that it covers has an effect.
func (a *App) record(ctx context.Context, ev audit.Event) error {
	_, err := a.trail.Record(ctx, ev)
	return err
}

// Token implements adminapi.Backend. Tokens by role exist in the development
// profile only; they end as every token does.
func (a *App) Token(ctx context.Context, r adminapi.TokenRequest) (adminapi.TokenReply, error) {
	if a.cfg.Profile != config.Development {
		return adminapi.TokenReply{}, errors.New("development tokens are not issued in profile production")
	}
	claims, err := a.developmentClaims(ctx, r)
	if err != nil {
		return adminapi.TokenReply{}, err
	}
	ev := a.operatorEvent(audit.Login, "token-issue", audit.Execute)
	ev.Agent.Roles = claims.Roles
	if err := a.record(ctx, ev); err != nil {
		return adminapi.TokenReply{}, err
	}
	opaque, err := a.tokens.Issue(ctx, claims)
	return adminapi.TokenReply{Token: opaque, Base: a.base}, err
}

// developmentClaims are those of a demo role or of an account.
func (a *App) developmentClaims(ctx context.Context, r adminapi.TokenRequest) (c token.Claims, err error) {
	now := time.Now()
	if r.Account != "" {
		rec, err := a.accounts.Get(ctx, r.Account)
		if err != nil {
			return c, err
		}
		s := account.Session{Client: developmentClient, Scopes: r.Scopes, AMR: []string{"demo"}, AuthTime: now, Purpose: r.Purpose, Patient: r.Patient, Lifetime: r.Lifetime}
		if len(s.Scopes) == 0 {
			s.Scopes = []string{"user/*.cruds", "system/*.cruds", "patient/*.rs", policy.AdminScope}
		}
		c, err = rec.Claims(s, now)
		if err != nil {
			return c, err
		}
	} else if c, err = a.demoClaims(r, now); err != nil {
		return c, err
	}
	if r.MFA {
		c.AMR = []string{"pwd", "mfa"} // as a login with a second factor would say (RFC 8176)
	}
	return c, nil
}

func (a *App) demoClaims(r adminapi.TokenRequest, now time.Time) (token.Claims, error) {
	c, err := token.DemoClaims(r.Role, r.Practitioner, r.Patient)
	c.Client, c.Lifetime, c.AuthTime = developmentClient, r.Lifetime, now
	if r.Role == "clinician" && r.Practitioner == "" {
		c.Who = ""
	}
	if err == nil && r.Role == "patient" && r.Patient == "" {
		err = errors.New("a token for role patient needs the patient's logical id")
	}
	return c, err
}

// RevokeToken implements adminapi.Backend.
func (a *App) RevokeToken(ctx context.Context, opaque string) error {
	if err := a.record(ctx, a.operatorEvent(audit.Login, "token-revoke", audit.Execute)); err != nil {
		return err
	}
	return a.tokens.Revoke(ctx, opaque)
}

// KeysStatus implements adminapi.Backend.
func (a *App) KeysStatus(ctx context.Context) (keyring.Status, error) { return a.ring.Status(ctx) }

// RotateKEK implements adminapi.Backend.
func (a *App) RotateKEK(ctx context.Context, progress func(adminapi.Progress)) error {
	return a.recorded(ctx, "key-rotate", func() error {
		err := a.inTurn(ctx, workKeys, func(ctx context.Context) error {
			return a.ring.RotateKEK(ctx, func(done, total int) {
				progress(adminapi.Progress{Step: "wrapping keys again", Done: done, Total: total})
			})
		})
		if err != nil {
			return err
		}
		if err := a.peers.Barrier(ctx); err != nil {
			return fmt.Errorf("the keys are wrapped again, but not every node has heard of it: %w", err)
		}
		return a.scrub(ctx)
	})
}

// Erase implements adminapi.Backend.
func (a *App) Erase(ctx context.Context, r adminapi.EraseRequest, progress func(adminapi.Progress)) (interaction.EraseReport, error) {
	if err := a.checkHold(ctx, r.Patient); err != nil {
		return interaction.EraseReport{}, err
	}
	call := interaction.Call{Subject: authz.Subject{}}
	rep, err := a.service.Erase(ctx, call, interaction.ErasePlan{
		Patient: r.Patient, Reason: r.Reason, Agent: audit.Agent{Subject: operator, Client: developmentClient, Address: "local"},
		Keys: a.ring, Purger: a.store, Drain: a.peers.Barrier, Scrub: a.scrub,
		Progress: func(step string, done, total int) {
			progress(adminapi.Progress{Step: step, Done: done, Total: total})
		},
	})
	if err != nil {
		return rep, fmt.Errorf("erasing: %w; run the command again to finish", err)
	}
	if err := a.glasses.Forget(ctx, r.Patient); err != nil {
		return rep, fmt.Errorf("erasing: %w; run the command again to finish", err)
	}
	rep.BackupsSilent = a.ring.IndexEpoch().Created.Add(keyring.IndexEpochLife)
	if _, err := a.trailKeys.Sweep(ctx); err != nil {
		return rep, fmt.Errorf("sweeping audit pseudonyms: %w; run the command again to finish", err)
	}
	if err := a.peers.Barrier(ctx); err != nil { // no node remembers a pseudonym
		return rep, fmt.Errorf("waiting for the other nodes: %w; run the command again to finish", err)
	}
	return rep, a.scrub(ctx)
}

// Explain implements adminapi.Backend. The search runs as the token's holder,
// so that an operator learns no more than a caller could count.
func (a *App) Explain(ctx context.Context, r adminapi.ExplainRequest) (interaction.Explanation, error) {
	subject, err := a.tokens.Verify(ctx, r.Token, "local")
	if err != nil {
		return interaction.Explanation{}, errors.New("the token is unknown, expired or revoked")
	}
	return a.service.Explain(ctx, interaction.Call{Subject: subject, RequestID: "explain"}, r.Query)
}

// Stats implements adminapi.Backend.
func (a *App) Stats(ctx context.Context) (out adminapi.Stats, err error) {
	if s, ok := a.store.(interface{ Compact(context.Context) error }); ok {
		if err := s.Compact(ctx); err != nil {
			return out, err
		}
	}
	if out.Store, err = sizes(ctx, a.store); err != nil {
		return out, err
	}
	if out.Keystore, err = sizes(ctx, a.keystore); err != nil {
		return out, err
	}
	out.Trail = a.trail.Status()
	return out, nil
}
