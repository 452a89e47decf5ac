package interaction

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/fieldseal/fieldseal/authz/consent"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/search"
	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/sealed"
)

// Bounds of what is remembered, and of what one answer looks at: a patient with
// more Consents, or a practitioner with more encounters in the window, is not
// decided about, which denies.
const (
	maxConsents       = 500
	maxCare           = 10_000
	rememberedPeople  = 50_000
	rememberedCircles = 2_000
)

var errTooMany = errors.New("more resources than a decision may look at")

// loadConsents compiles the Consents of a patient.
func (s *Service) loadConsents(ctx context.Context, patient field.StorageID) (list []*consent.Consent, err error) {
	k := consent.Compiler{Local: func(text string) (consent.Target, bool) {
		ref, local := s.localReference(text)
		if !local {
			return consent.Target{}, false
		}
		return s.targetOf(ref), true
	}}
	e := &search.Expression{Type: "Consent"}
	owners := []repository.Owner{repository.Owner(patient)}
	err = s.each(ctx, e, owners, field.AllClasses, maxConsents, func(st *sealed.Stored, r *fhir.Resource) {
		if !slices.Contains(st.Head.Patients, patient) {
			return
		}
		if c := k.Compile(r); c != nil {
			list = append(list, c)
		}
	})
	return list, err
}

// loadAdult reports whether a patient is known to have completed the 18th year.
func (s *Service) loadAdult(ctx context.Context, patient field.StorageID) (bool, error) {
	st, err := s.Vault.Load(ctx, repository.Key{Type: "Patient", ID: patient})
	if errors.Is(err, repository.ErrNotFound) || errors.Is(err, sealed.ErrErased) {
		return false, nil
	}
	if err != nil || st.Head.Deleted {
		return false, err
	}
	r, err := s.Vault.Open(st, s.Classes.ElementClasses("Patient.birthDate"))
	if err != nil {
		return false, err
	}
	_, until, ok := search.ParseTime(r.Root().Member("birthDate").Text())
	return ok && !time.UnixMicro(until).AddDate(18, 0, 0).After(time.Now()), nil
}

// each visits what the server itself finds for a decision, current versions
// only, with the classes open. Nothing of it leaves.
func (s *Service) each(ctx context.Context, e *search.Expression, in []repository.Owner, open field.ClassSet, most int, visit func(*sealed.Stored, *fhir.Resource)) error {
	plan, err := s.Vault.Plan(ctx, e, sealed.Scope{Patients: in, Now: time.Now()})
	if err != nil {
		return err
	}
	matcher := search.Matcher{Catalog: s.Catalog, Terminology: subsumption{s.Terminology}, Now: time.Now()}
	q, looked := plan.Query, 0
	for q.Limit = candidatePage; ; {
		page, err := s.Store.Find(ctx, q)
		if err != nil {
			return err
		}
		for _, rec := range page.Records {
			if looked++; looked > most {
				return errTooMany
			}
			st, err := s.Vault.Adopt(ctx, rec)
			if errors.Is(err, sealed.ErrErased) || err == nil && st.Head.Deleted {
				continue
			}
			if err != nil {
				return err
			}
			r, err := s.Vault.Open(st, open|reads(e))
			if err != nil {
				return err
			}
			ok, err := matcher.Match(ctx, e, r)
			if err != nil {
				return err
			}
			if ok {
				visit(st, r)
			}
		}
		if page.Next == "" {
			return nil
		}
		q.After = page.Next
	}
}
