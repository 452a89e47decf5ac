package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/internal/adminapi"
	"github.com/fieldseal/fieldseal/repository"
)

// errPatientID asks for what names a patient to an operator.
var errPatientID = errors.New("the patient is named by its logical id")

// hold is a row of the table of legal holds; its key is the owner pseudonym.
type hold struct {
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
}

// Hold implements adminapi.Backend.
func (a *App) Hold(ctx context.Context, r adminapi.HoldRequest) error {
	if !fhir.ValidID(r.Patient) {
		return errPatientID
	}
	owner := a.vault.PatientOwner(r.Patient)
	subtype := "legal-hold"
	if r.Release {
		subtype = "legal-hold-release"
	}
	if err := a.record(ctx, a.ownerEvent(subtype, r.Reason, owner)); err != nil {
		return err
	}
	table := a.store.Table("holds")
	row, err := table.Get(ctx, owner[:])
	switch {
	case errors.Is(err, repository.ErrNotFound) && r.Release:
		return errors.New("the patient is not under legal hold")
	case err != nil && !errors.Is(err, repository.ErrNotFound):
		return err
	case r.Release:
		return table.DeleteIf(ctx, owner[:], row.Revision)
	}
	value, err := json.Marshal(hold{Reason: r.Reason, Since: time.Now().UTC().Truncate(time.Second)})
	if err != nil {
		return err
	}
	_, err = table.PutIf(ctx, owner[:], value, row.Revision)
	return err
}

// checkHold refuses to erase a patient under legal hold.
func (a *App) checkHold(ctx context.Context, patient string) error {
	owner := a.vault.PatientOwner(patient)
	row, err := a.store.Table("holds").Get(ctx, owner[:])
	if errors.Is(err, repository.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	var h hold
	if err := json.Unmarshal(row.Value, &h); err != nil {
		return fmt.Errorf("reading the legal hold: %w", err)
	}
	return fmt.Errorf("the patient is under legal hold since %s (%s): nothing was erased; release the hold first",
		h.Since.Format(time.DateOnly), h.Reason)
}

// Readmit implements adminapi.Backend.
func (a *App) Readmit(ctx context.Context, r adminapi.EraseRequest) error {
	if !fhir.ValidID(r.Patient) {
		return errPatientID
	}
	owner := a.vault.PatientOwner(r.Patient)
	if err := a.record(ctx, a.ownerEvent("readmit", r.Reason, owner)); err != nil {
		return err
	}
	return a.ring.Readmit(ctx, owner)
}

// ownerEvent names an owner by pseudonym only.
func (a *App) ownerEvent(subtype, reason string, owner repository.Owner) audit.Event {
	ev := a.operatorEvent(audit.Security, subtype, audit.Execute)
	ev.Reason, ev.Entities = reason, []audit.Entity{{Type: "Patient", Key: owner}}
	return ev
}
