package keyring

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/fieldseal/fieldseal/repository"
)

// Status describes a keystore without any key; it is the JSON form of
// `fieldseal keys status --json`.
type Status struct {
	Tenant      string          `json:"tenant"` // hex
	Created     time.Time       `json:"created"`
	KMS         string          `json:"kms"` // ok, or why a KEK cannot be checked now
	KEKs        []KEKStatus     `json:"keks"`
	Owners      int             `json:"owners"`
	Fenced      int             `json:"fenced"`
	Erased      int             `json:"erased"`
	IndexEpochs []EpochStatus   `json:"indexEpochs"`
	AuditEpochs []EpochStatus   `json:"auditEpochs"`
	Rotation    *RotationStatus `json:"rotation,omitempty"`
}

// KEKStatus is one KEK version and what it wraps.
type KEKStatus struct {
	Version uint32    `json:"version"`
	Created time.Time `json:"created"`
	KeyID   string    `json:"keyId"` // of the root key that wraps it
	Current bool      `json:"current"`
	Owners  int       `json:"owners"`
	Secrets int       `json:"secrets"`
}

// EpochStatus is one epoch. RotateBy is set for index epochs: the date by
// which the epoch must be replaced.
type EpochStatus struct {
	ID       uint32     `json:"id"`
	Created  time.Time  `json:"created"`
	AgeDays  int        `json:"ageDays"`
	RotateBy *time.Time `json:"rotateBy,omitempty"`
}

// RotationStatus is the progress of an unfinished RotateKEK.
type RotationStatus struct {
	Target  uint32    `json:"target"`
	Started time.Time `json:"started"`
	Done    int       `json:"done"`
	Total   int       `json:"total"`
}

// Status reads the whole keystore. It asks the KMS only when the KEK is due.
func (r *Ring) Status(ctx context.Context) (Status, error) {
	t, _, err := readTenant(ctx, r.opts.Table)
	if err != nil {
		return Status{}, err
	}
	now := r.opts.Now()
	s := Status{Tenant: hex.EncodeToString(t.tenant[:]), Created: t.created, KMS: r.kmsState(ctx)}
	owners := make(map[uint32]int)
	done := 0
	err = r.eachOwner(ctx, func(_ repository.Owner, w *ownerRow, _ uint64) error {
		switch w.state {
		case stateLive:
			s.Owners++
		case stateFenced:
			s.Fenced++
		case stateErased:
			s.Erased++
		}
		if len(w.blob) > 0 {
			owners[w.kek]++
		}
		if w.kek == t.rotation.target && w.kek != 0 {
			done++
		}
		return nil
	})
	if err != nil {
		return Status{}, err
	}
	s.fill(t, owners, now)
	if t.rotation.target != 0 {
		total := 0
		for _, n := range owners {
			total += n
		}
		s.Rotation = &RotationStatus{t.rotation.target, t.rotation.started, done, total}
	}
	return s, nil
}

// kmsState says in a word how the KEK stands.
func (r *Ring) kmsState(ctx context.Context) string {
	version, _, err := r.keks.current(ctx)
	if err != nil {
		return err.Error()
	}
	if _, state := r.keks.look(version); state == kekGrace {
		return "unreachable, serving within the grace period"
	}
	return "ok"
}

// fill adds what the tenant row tells.
func (s *Status) fill(t *tenantRow, owners map[uint32]int, now time.Time) {
	secrets := make(map[uint32]int)
	for _, e := range t.secrets {
		secrets[e.kek]++
		status := EpochStatus{ID: e.id, Created: e.created, AgeDays: int(now.Sub(e.created) / (24 * time.Hour))}
		switch e.purpose {
		case purposeIndexEpoch:
			by := e.created.Add(IndexEpochLife)
			status.RotateBy = &by
			s.IndexEpochs = append(s.IndexEpochs, status)
		case purposeAuditEpoch:
			s.AuditEpochs = append(s.AuditEpochs, status)
		}
	}
	for _, k := range t.keks {
		s.KEKs = append(s.KEKs, KEKStatus{
			Version: k.version, Created: k.created, KeyID: k.wrapped.KeyID, Current: k.version == t.current,
			Owners: owners[k.version], Secrets: secrets[k.version],
		})
	}
}
