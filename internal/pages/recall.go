package pages

import (
	"errors"

	"github.com/fieldseal/fieldseal/authz/oauth"
	"github.com/fieldseal/fieldseal/authz/token"
)

// recall is the decision of somebody who allowed all that the app asks for
// before; nil when a person has to be asked.
func (q *asking) recall(claims token.Claims) (*oauth.Decision, error) {
	if q.asked.AskAnew {
		return nil, nil
	}
	known, err := q.asked.Memory.Recall(q.r.Context(), q.session.Account, claims.Patient, claims.Scopes)
	if err != nil || !known {
		return nil, err
	}
	return &oauth.Decision{Scopes: claims.Scopes, Claims: claims, Recalled: true}, nil
}

// silently decides without a page (prompt=none): nothing may have to be chosen,
// and everything must have been allowed before.
func (q *asking) silently() (*oauth.Decision, error) {
	patient, settled := q.settled()
	if q.foreignLaunch() || !settled {
		return nil, oauth.ErrInteraction
	}
	claims, err := q.claimsFor(patient, q.asked.Scopes)
	if err != nil {
		return nil, oauth.ErrInteraction
	}
	d, err := q.recall(claims)
	if err == nil && d == nil {
		return nil, oauth.ErrConsent
	}
	if err == nil && patient != "" { // as a picker would: who may not see a patient any more is told so
		_, err = q.look(patient)
	}
	if errors.Is(err, ErrDenied) || errors.Is(err, ErrQuery) {
		return nil, oauth.ErrInteraction
	}
	return d, err
}

// declined is oauth.ErrDeclined, after what was allowed before is forgotten.
func (q *asking) declined() error {
	if err := q.asked.Memory.Forget(q.r.Context(), q.session.Account); err != nil {
		return err
	}
	return oauth.ErrDeclined
}
