package interaction

import (
	"context"
	"errors"
	"time"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/repository"
	"github.com/fieldseal/fieldseal/repository/sealed"
)

// Eraser destroys an owner's keys (crypto/keyring).
type Eraser interface {
	Fence(ctx context.Context, o repository.Owner) error
	Destroy(ctx context.Context, o repository.Owner) error
}

// ErasePlan is how a patient is erased; all functions are required.
type ErasePlan struct {
	Patient string // logical id
	Reason  string // short code of the legal ground, no patient data
	// Agent is who erases, for the audit events.
	Agent  audit.Agent
	Keys   Eraser
	Purger repository.Purger
	// Drain waits for the requests that were in flight when it was called.
	Drain func(ctx context.Context) error
	// Scrub makes destroyed key bytes leave the keystore's files.
	Scrub func(ctx context.Context) error
	// Progress is told of each step; total is 0 when unknown.
	Progress func(step string, done, total int)
}

// EraseReport says what an erasure did and what remains.
type EraseReport struct {
	Patient  string `json:"patient"`
	Versions int    `json:"versionsRemoved"`
	// References are the resources of others whose references to the erased
	// records were replaced.
	References []string `json:"referencesReplaced"`
	// History counts past versions of others that named an erased record.
	History int       `json:"pastVersionsThatStillName"`
	Erased  time.Time `json:"erased"`
	// BackupsSilent is when the last index epoch that confirms guesses from a
	// data backup ends.
	BackupsSilent time.Time `json:"backupsSilent"`
	Receipt       uint64    `json:"receipt"`
}

// erasePage is how many records one commit of an erasure removes.
const erasePage = 500

// Erase destroys everything that a patient owns (decision 9): fence, drain,
// replace inbound references, purge, destroy the keys. It may be called again
// after a crash at any step.
func (s *Service) Erase(ctx context.Context, c Call, p ErasePlan) (EraseReport, error) {
	rep := EraseReport{Patient: p.Patient, References: []string{}}
	if !fhir.ValidID(p.Patient) {
		return rep, fail(Malformed, nil, "the patient is named by its logical id")
	}
	owner := s.Vault.PatientOwner(p.Patient)
	ev := begin(c, audit.Delete, "erase")
	ev.Agent = p.Agent
	ev.Kind, ev.Reason = audit.Security, p.Reason
	ev.Entities = []audit.Entity{{Type: "Patient", Key: owner}}
	intent := ev
	intent.Reason = "started"
	if _, err := s.Recorder.Record(ctx, intent); err != nil {
		return rep, failure(err)
	}
	if err := p.Keys.Fence(ctx, owner); err != nil {
		return rep, err
	}
	p.Progress("waiting for requests in flight", 0, 0)
	if err := p.Drain(ctx); err != nil {
		return rep, err
	}
	targets, err := s.owned(ctx, owner, p)
	if err != nil {
		return rep, err
	}
	if err := s.forget(ctx, c, targets, &rep, p); err != nil {
		return rep, err
	}
	if rep.Versions, err = purge(ctx, owner, p); err != nil {
		return rep, err
	}
	if err := p.Keys.Destroy(ctx, owner); err != nil {
		return rep, err
	}
	if err := p.Scrub(ctx); err != nil {
		return rep, err
	}
	receipt, err := s.Recorder.Record(ctx, ev)
	if err != nil {
		return rep, failure(err)
	}
	rep.Receipt, rep.Erased = receipt.Seq(), time.Now().UTC().Truncate(time.Second)
	return rep, nil
}

// owned lists the live records that the patient's keys seal. It opens none, so
// that an erasure whose keys are fenced or gone already can be resumed.
func (s *Service) owned(ctx context.Context, owner repository.Owner, p ErasePlan) (map[repository.Key]bool, error) {
	targets := map[repository.Key]bool{s.Vault.Key("Patient", p.Patient): true}
	for _, typ := range s.Definitions.ResourceTypes() {
		err := s.records(ctx, repository.Query{Type: typ, Owner: &owner}, func(rec repository.Record) error {
			targets[rec.Key] = true
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	p.Progress("records found", len(targets), len(targets))
	return targets, nil
}

// records visits every record that the query selects.
func (s *Service) records(ctx context.Context, q repository.Query, visit func(repository.Record) error) error {
	q.Limit = candidatePage
	for {
		page, err := s.Store.Find(ctx, q)
		if err != nil {
			return err
		}
		for _, rec := range page.Records {
			if err := visit(rec); err != nil {
				return err
			}
		}
		if page.Next == "" {
			return nil
		}
		q.After = page.Next
	}
}

// forget replaces the references that others hold to erased records.
func (s *Service) forget(ctx context.Context, c Call, targets map[repository.Key]bool, rep *EraseReport, p ErasePlan) error {
	types := s.Definitions.ResourceTypes()
	for i, typ := range types {
		p.Progress("looking for references", i, len(types))
		err := s.records(ctx, repository.Query{Type: typ}, func(rec repository.Record) error {
			if targets[rec.Key] {
				return nil
			}
			st, err := s.Vault.Adopt(ctx, rec)
			if errors.Is(err, sealed.ErrErased) {
				return nil
			}
			if err != nil {
				return err
			}
			replaced, err := s.forgetIn(ctx, c, st, targets, p)
			if err != nil || !replaced {
				return err
			}
			rep.References = append(rep.References, typ+"/"+st.Head.ID)
			rep.History += int(st.Record.Version)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// forgetIn writes a new version of a resource in which references to erased
// records are tombstones.
func (s *Service) forgetIn(ctx context.Context, c Call, st *sealed.Stored, targets map[repository.Key]bool, p ErasePlan) (bool, error) {
	r, err := s.Vault.Open(st, allClasses)
	if err != nil {
		return false, err
	}
	if !s.tombstoneReferences(r.Root(), targets) {
		return false, nil
	}
	var t taken
	defer s.underway.end(&t)
	at, err := s.underway.draw(ctx, s.Store, &t)
	if err != nil {
		return false, err
	}
	version := versionTag(st.Record.Version + 1)
	r.SetMeta(version[3:len(version)-1], instant(int64(at)))
	d, err := s.Vault.Seal(ctx, r, st, at, false)
	if err != nil {
		return false, err
	}
	ev := begin(c, audit.Update, "update")
	ev.Agent, ev.Reason = p.Agent, "reference to an erased patient"
	_, err = s.commit(ctx, ev, []change{{draft: d, resource: r}}, condition{})
	return err == nil, err
}

// tombstoneReferences replaces every Reference to a target, in place, by one
// that says its target was erased. Display and identifier name people: they go
// as well.
func (s *Service) tombstoneReferences(n *fhir.Node, targets map[repository.Key]bool) bool {
	found := false
	if n.Kind() == fhir.Object {
		if ref, ok := fhir.ParseReference(n.Member("reference").Text()); ok && targets[s.Vault.Key(ref.Type, ref.ID)] &&
			(ref.Base == "" || ref.Base == s.Base) {
			erased := fhir.NewObject(fhir.NewArray(fhir.NewObject(
				fhir.NewString("http://hl7.org/fhir/StructureDefinition/data-absent-reason").Named("url"),
				fhir.NewString("masked").Named("valueCode"))).Named("extension"))
			*n = erased.Named(n.Name())
			return true
		}
	}
	for i := range n.Len() {
		found = s.tombstoneReferences(n.At(i), targets) || found
	}
	return found
}

func purge(ctx context.Context, owner repository.Owner, p ErasePlan) (total int, err error) {
	for done := false; !done; {
		var n int
		if n, done, err = p.Purger.PurgeOwner(ctx, owner, erasePage); err != nil {
			return total, err
		}
		total += n
		p.Progress("removing records", total, 0)
	}
	return total, nil
}
