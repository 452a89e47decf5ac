package pages

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/fieldseal/fieldseal/authz/token"
	"github.com/fieldseal/fieldseal/repository"
)

// formLife is how long a person may look at a consent form.
const formLife = 15 * time.Minute

// rowForms starts the keys of consent forms that were used.
const rowForms = "form/"

// usedRow marks a form that was used, for as long as it would be accepted.
type usedRow struct {
	Format int   `json:"format"`
	Keep   int64 `json:"keep"`
}

// consentForm is what a consent form is bound to, beside its request, its session
// and what it offers.
type consentForm struct {
	id      string
	made    string // seconds
	patient string // logical id; empty: none
}

// prove makes the value that a consent form carries.
func (q *asking) prove(patient string, offered []string) string {
	f := consentForm{token.Draw("")[:22], strconv.FormatInt(q.Now().Unix(), 10), patient}
	return strings.Join([]string{f.id, f.made, f.patient, q.proofOf(f, offered)}, "~")
}

// proofOf covers the scopes that the page offered, since its boxes are numbered:
// what an account may do can change while somebody reads.
func (q *asking) proofOf(f consentForm, offered []string) string {
	return q.proof("pages-consent", append([]string{f.id, f.made, f.patient, q.session.CSRF, q.session.Account, bare(q.r.URL)}, offered...)...)
}

// proven reads the value again, and returns the claims that it was made for with
// the scopes that it offered. It is false for one that was altered, is too old, or
// was made for another request, session, person or offer.
func (q *asking) proven(value string) (f consentForm, claims token.Claims, ok bool) {
	parts := strings.Split(value, "~")
	if len(parts) != 4 {
		return f, claims, false
	}
	f = consentForm{parts[0], parts[1], parts[2]}
	made, err := strconv.ParseInt(f.made, 10, 64)
	if age := q.Now().Sub(time.Unix(made, 0)); err != nil || age < -time.Minute || age > formLife {
		return f, claims, false
	}
	claims, err = q.claimsFor(f.patient, q.asked.Scopes)
	return f, claims, err == nil && equal(parts[3], q.proofOf(f, claims.Scopes))
}

// use reports whether the form is used for the first time, on whatever node.
func (q *asking) use(f consentForm) (first bool, err error) {
	value, err := json.Marshal(usedRow{1, q.Now().Add(formLife + time.Minute).Unix()})
	if err != nil {
		return false, fmt.Errorf("encoding a used form: %w", err)
	}
	_, err = q.Table.PutIf(q.r.Context(), []byte(rowForms+f.id), value, 0)
	if errors.Is(err, repository.ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

// Sweep removes the marks of forms that are too old to be accepted. It may run on
// several nodes at once.
func (p *Pages) Sweep(ctx context.Context) (int, error) {
	return repository.Sweep(ctx, p.Table, p.Now().Unix(), rowForms)
}
