package sealed

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/compartment"
	"github.com/fieldseal/fieldseal/repository"
)

// Draft is a new version that is sealed and ready to commit.
type Draft struct {
	Write repository.Write
	Head  field.Head
	// Guarded are the tokens whose guards the commit must bump: those that
	// identify, added or removed.
	Guarded []repository.Token
}

// Seal makes the next version of a resource: r must carry its final id and
// meta. previous is the current version, nil when there is none; upsert says
// that the client chose the id. The keys of the owner are durable when Seal
// returns.
func (v *Vault) Seal(ctx context.Context, r *fhir.Resource, previous *Stored, stamp repository.Stamp, upsert bool) (Draft, error) {
	key := v.Key(r.Type(), r.ID())
	owner, err := v.owner(ctx, r, key)
	if err != nil {
		return Draft{}, err
	}
	head := field.Head{ID: r.ID(), Updated: int64(stamp), Owner: field.StorageID(owner), Security: labels(r), Upsert: upsert}
	for _, id := range v.comp.Patients(r) {
		head.Patients = append(head.Patients, v.ring.StorageID("Patient", id))
		head.PatientIDs = append(head.PatientIDs, id)
	}
	for _, id := range v.comp.Orgs(r) {
		head.Orgs = append(head.Orgs, v.ring.StorageID("Organization", id))
	}
	return v.draft(ctx, repository.Record{Key: key, Updated: stamp, Owner: owner}, head, r, previous)
}

// SealTombstone makes the version in which the resource is deleted. It keeps
// owner, compartments and labels (decision 10).
func (v *Vault) SealTombstone(ctx context.Context, previous *Stored, stamp repository.Stamp) (Draft, error) {
	head := previous.Head
	head.Updated, head.Deleted, head.Upsert = int64(stamp), true, false
	rec := repository.Record{Key: previous.Record.Key, Updated: stamp, Owner: previous.Record.Owner, Deleted: true}
	return v.draft(ctx, rec, head, nil, previous)
}

func (v *Vault) draft(ctx context.Context, rec repository.Record, head field.Head, r *fhir.Resource, previous *Stored) (Draft, error) {
	if err := v.settle(ctx); err != nil {
		return Draft{}, err
	}
	keys, err := v.ring.EnsureOwner(ctx, rec.Owner)
	if err != nil {
		return Draft{}, gone(err)
	}
	var expect repository.Version
	var guarded []repository.Token
	if r != nil {
		rec.Tokens = v.resourceTokens(r, keys, head.Patients)
		guarded = v.guards(r)
	}
	if previous != nil {
		expect = previous.Record.Version
		old, err := v.guardsOf(previous)
		if err != nil {
			return Draft{}, err
		}
		guarded = append(guarded, old...)
	}
	rec.Version = expect + 1
	if rec.Body, err = v.cipher.Seal(nil, v.binding(rec), keys, &head, r); err != nil {
		return Draft{}, fmt.Errorf("sealing: %w", err)
	}
	slices.Sort(guarded)
	return Draft{Write: repository.Write{Record: rec, Expect: expect}, Head: head, Guarded: slices.Compact(guarded)}, nil
}

// owner is whose keys seal the resource (decision 6).
func (v *Vault) owner(ctx context.Context, r *fhir.Resource, key repository.Key) (repository.Owner, error) {
	if target, ok := v.comp.Follows(r); ok {
		rec, err := v.store.Get(ctx, v.Key(target.Type, target.ID))
		switch {
		case errors.Is(err, repository.ErrNotFound):
			return repository.Owner(key.ID), nil
		case err != nil:
			return repository.Owner{}, err
		}
		return rec.Owner, nil
	}
	switch kind, patient := v.comp.Owner(r); kind {
	case compartment.Patient:
		return repository.Owner(v.ring.StorageID("Patient", patient)), nil
	case compartment.Type:
		return repository.Owner(v.ring.StorageID("type:", r.Type())), nil
	}
	return repository.Owner(key.ID), nil
}

// PatientOwner is the owner of everything that a patient's keys seal.
func (v *Vault) PatientOwner(id string) repository.Owner {
	return repository.Owner(v.ring.StorageID("Patient", id))
}

func labels(r *fhir.Resource) []field.Label {
	security := r.Root().Member("meta").Member("security")
	if security == nil || security.Kind() != fhir.Array {
		return nil
	}
	var ls []field.Label
	for i := range security.Len() {
		c := security.At(i)
		ls = append(ls, field.Label{System: c.Member("system").Text(), Code: c.Member("code").Text()})
	}
	return ls
}
