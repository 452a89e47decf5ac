package federation

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/oauth2"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/authz/issuer"
	"github.com/fieldseal/fieldseal/authz/login"
)

// Done is a login that worked.
type Done struct {
	Secret  string // of the new session
	Session login.Session
	Next    string // path to go on to
}

// Finish takes what a provider sent back to CallbackPath and its name, in the
// browser whose session has the secret. The errors are those of this package,
// login.ErrTooMany, or an outage.
func (d *Desk) Finish(ctx context.Context, peer, provider, secret string, query url.Values) (done Done, err error) {
	i := d.provider(provider)
	if i == nil || !single(query) {
		return done, d.refused(peer, "request")
	}
	if err := d.admit(d.ends, peer); err != nil {
		return done, err
	}
	p, m, err := d.begun(ctx, peer, i, secret, query)
	if err != nil {
		return done, err
	}
	proof, err := d.redeem(ctx, peer, i, m, p, query.Get("code"))
	if err != nil {
		return done, err
	}
	who, err := d.known(ctx, peer, i, proof)
	if err != nil {
		return done, err
	}
	if p.Account != "" && p.Account != who.Subject {
		return done, d.failed(ctx, ErrOther, peer, who.Subject, i.Name, "other-account")
	}
	if err := d.record(ctx, peer, who.Subject, i.Name, ""); err != nil {
		return done, err
	}
	done.Next = p.Next
	done.Secret, done.Session, err = d.Login.Federated(ctx, secret, peer, who.Subject, proof.AMR, proof.AuthTime)
	if errors.Is(err, login.ErrWrong) { // it ended a moment ago
		err = ErrUnknown
	}
	return done, err
}

// single refuses parameters that are given twice or are too long (RFC 6749 §3.1).
func single(query url.Values) bool {
	for _, values := range query {
		if len(values) != 1 || len(values[0]) > maxParameter {
			return false
		}
	}
	return true
}

// begun finds the login that an answer belongs to and uses it up.
func (d *Desk) begun(ctx context.Context, peer string, i *issuer.Issuer, secret string, query url.Values) (p pending, m issuer.Metadata, err error) {
	state := query.Get("state")
	if !strings.HasPrefix(state, statePrefix) {
		return p, m, d.refused(peer, "state")
	}
	if p, err = d.take(ctx, state); errors.Is(err, errNone) {
		return p, m, d.refused(peer, "state")
	}
	if err != nil {
		return p, m, err
	}
	if secret == "" || subtle.ConstantTimeCompare(p.Browser, browser(secret)) != 1 {
		return p, m, d.refused(peer, "browser")
	}
	if m, err = i.Metadata(ctx); errors.Is(err, issuer.ErrAway) {
		return p, m, ErrAway
	} else if err != nil {
		return p, m, err
	}
	// RFC 9207 §2.4: compared before anything of the answer is used.
	iss, named := query["iss"]
	if p.Provider != i.Name || named && iss[0] != i.URL || !named && m.IssuerInResponse {
		return p, m, d.refused(peer, "mix-up")
	}
	if query.Has("error") {
		d.Gatekeeper.RecordPreAuth(peer, "federation-declined")
		return p, m, ErrDeclined
	}
	return p, m, nil
}

// redeem exchanges the code and verifies the id_token.
func (d *Desk) redeem(ctx context.Context, peer string, i *issuer.Issuer, m issuer.Metadata, p pending, code string) (proof issuer.Proof, err error) {
	if code == "" {
		return proof, d.refused(peer, "code")
	}
	answer, err := d.client(i, m).Exchange(context.WithValue(ctx, oauth2.HTTPClient, i.Client()), code, oauth2.VerifierOption(p.Verifier))
	if err != nil {
		// The library's text repeats what the provider said, so it goes nowhere.
		var said *oauth2.RetrieveError
		switch answered := errors.As(err, &said) && said.Response != nil; {
		case answered && said.ErrorCode == "invalid_client": // the settings are wrong, not the person
			d.Gatekeeper.RecordPreAuth(peer, "federation-client")
			return proof, ErrAway
		case answered && said.Response.StatusCode < http.StatusInternalServerError && said.Response.StatusCode >= http.StatusBadRequest:
			return proof, d.refused(peer, "code")
		}
		d.Gatekeeper.RecordPreAuth(peer, "federation-away")
		return proof, ErrAway
	}
	idToken, _ := answer.Extra("id_token").(string)
	proof, err = i.Identify(ctx, idToken, p.Nonce, p.Since)
	var refusal *issuer.Refusal
	switch {
	case errors.As(err, &refusal):
		return proof, d.refused(peer, "id-token-"+refusal.Code)
	case errors.Is(err, issuer.ErrAway):
		return proof, ErrAway
	}
	return proof, err
}

// known is the account that iss and sub lead to. Who is unknown and whose
// account has ended are told the same.
func (d *Desk) known(ctx context.Context, peer string, i *issuer.Issuer, proof issuer.Proof) (account.Account, error) {
	who, err := d.Accounts.Identified(ctx, account.Identity{Issuer: i.URL, Subject: proof.Subject})
	switch {
	case errors.Is(err, account.ErrUnknown):
		return who, d.failed(ctx, ErrUnknown, peer, "", i.Name, "unknown-account")
	case err != nil:
		return who, err
	case who.Ended(d.Now()) || !strings.HasPrefix(who.Subject, account.User):
		return who, d.failed(ctx, ErrUnknown, peer, who.Subject, i.Name, "ended-account")
	}
	return who, nil
}

// failed records why somebody whom the provider knows is not let in, and returns
// what he is told, or the outage of the trail.
func (d *Desk) failed(ctx context.Context, as error, peer, subject, provider, code string) error {
	if err := d.record(ctx, peer, subject, provider, code); err != nil {
		return err
	}
	return as
}

// record makes an event durable before what it covers takes effect. It names the
// provider and no sub, which is another organisation's name of a person.
func (d *Desk) record(ctx context.Context, peer, subject, provider, failure string) error {
	e := audit.Event{Kind: audit.Login, Subtype: "federation", Action: audit.Execute, Outcome: audit.Success, Reason: "at " + provider,
		Agent: audit.Agent{Subject: subject, Address: peer}}
	if failure != "" {
		e.Subtype, e.Outcome, e.Reason = "failure", audit.MinorFailure, "federation-"+failure+" at "+provider
	}
	_, err := d.Recorder.Record(ctx, e)
	return err
}
