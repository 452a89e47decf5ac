package office

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/account"
	"github.com/fieldseal/fieldseal/authz/policy"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/repository"
)

// launchScopes are the widest that an app with a user can have.
var launchScopes = []string{"patient/*.cruds", "user/*.cruds"}

// Sees implements oauth.Charts: by the policy in force, with the roles of the
// account's record and the consents of the patient. Nothing is opened; what is
// unknown, invisible and of another patient is denied alike.
func (o *Office) Sees(ctx context.Context, acct, patient, encounter string, references []string) error {
	_, decider, err := o.Policies.Active()
	if err != nil {
		return err
	}
	claims, err := o.launchClaims(ctx, acct, patient)
	if err != nil {
		return err
	}
	see := func(reference string) (authz.Facts, error) { return o.sees(ctx, decider, claims, reference) }
	if patient != "" {
		if _, err := see("Patient/" + patient); err != nil {
			return err
		}
	}
	if encounter != "" {
		facts, err := see("Encounter/" + encounter)
		if err != nil {
			return err
		}
		if !slices.Contains(facts.Patients, o.PRF("Patient", patient)) {
			return authz.ErrDenied
		}
	}
	for _, reference := range references {
		if _, err := see(reference); err != nil {
			return err
		}
	}
	return nil
}

// Entity implements oauth.Charts.
func (o *Office) Entity(patient string) audit.Entity { return o.patient(patient) }

// launchClaims are those of an account for a patient, or authz.ErrDenied.
func (o *Office) launchClaims(ctx context.Context, acct, patient string) (c authz.SubjectClaims, err error) {
	rec, err := o.Accounts.Get(ctx, acct)
	if err == nil {
		if says, cerr := rec.Claims(account.Session{Scopes: launchScopes, Patient: patient}, o.Now()); cerr != nil {
			err = cerr
		} else {
			c = o.claimsOf(rec)
			c.Roles, c.Who, c.Scopes = says.Roles, says.Who, says.Scopes
			if says.Purpose != "" {
				c.Purpose = says.Purpose
			}
			if says.Patient != "" {
				o.inContext(&c, says.Patient)
			}
		}
	}
	if errors.Is(err, account.ErrUnknown) || errors.Is(err, account.ErrDisabled) || errors.Is(err, account.ErrContext) {
		err = authz.ErrDenied
	}
	return c, err
}

// sees returns the facts of a resource that the claims may read.
func (o *Office) sees(ctx context.Context, d *policy.Decider, c authz.SubjectClaims, reference string) (authz.Facts, error) {
	typ, id, _ := strings.Cut(reference, "/")
	if !fhir.ValidID(id) {
		return authz.Facts{}, authz.ErrDenied
	}
	q := policy.Question{Claims: c, Request: authz.Request{Action: authz.Read, Type: typ}}
	facts, _, err := o.Resources.Facts(ctx, q.Nothing(), id)
	if err != nil {
		if errors.Is(err, repository.ErrUnavailable) || ctx.Err() != nil {
			return facts, err
		}
		return facts, authz.ErrDenied // unknown, deleted, erased
	}
	q.Facts = &facts
	if d.Judge(q) == 0 {
		return facts, authz.ErrDenied
	}
	return facts, nil
}
