package keyring

import (
	"fmt"
	"sync/atomic"

	"github.com/fieldseal/fieldseal/crypto/secret"
	"github.com/fieldseal/fieldseal/repository"
)

// MaxClass is the highest class number that ClassKey accepts.
const MaxClass = 15

// dek is one DEK version with the class keys derived from it so far.
type dek struct {
	version uint32
	key     secret.Bytes
	classes [MaxClass + 1]atomic.Pointer[ClassKey]  // of records that older releases sealed
	sealers [2][MaxClass + 1]atomic.Pointer[Sealer] // by how nonces come about
}

// OwnerKeys are one owner's open keys. Hold them for one request only: the
// ring forgets them after OwnerTTL or at once when the owner is erased. Safe
// for concurrent use.
type OwnerKeys struct {
	owner      repository.Owner
	generation uint32
	deks       []dek
	index      secret.Bytes
	auditKey   secret.Bytes
	pseudonym  [16]byte
}

func newOwnerKeys(o repository.Owner, w *ownerRow, s *ownerSecrets) *OwnerKeys {
	k := &OwnerKeys{owner: o, generation: w.generation, index: s.index, deks: make([]dek, len(s.deks))}
	for i, d := range s.deks {
		k.deks[i].version, k.deks[i].key = d.version, d.key
	}
	k.auditKey = derive(s.audit, keyBytes, labelAuditKey, nil)
	k.pseudonym = [16]byte(derive(s.audit, 16, labelPseudonym, nil).Expose())
	return k
}

// Owner returns whose keys these are.
func (k *OwnerKeys) Owner() repository.Owner { return k.owner }

// Version returns the DEK version that seals what is new.
func (k *OwnerKeys) Version() uint32 { return k.deks[len(k.deks)-1].version }

// Generation counts how often the owner was admitted, from 1.
func (k *OwnerKeys) Generation() uint32 { return k.generation }

// ClassKey returns the key of one class under one DEK version, derived on
// first use. ErrErased: the version belongs to a generation that was
// destroyed; ErrNoKey: it never existed. There is no fallback to another
// version.
func (k *OwnerKeys) ClassKey(version uint32, class uint8) (*ClassKey, error) {
	d, err := k.find(version, class)
	if err != nil {
		return nil, err
	}
	return d.class(class), nil
}

// find returns the DEK of a version.
func (k *OwnerKeys) find(version uint32, class uint8) (*dek, error) {
	if class > MaxClass {
		return nil, fmt.Errorf("class %d: %w", class, ErrNoKey)
	}
	for i := len(k.deks) - 1; i >= 0; i-- {
		if k.deks[i].version == version {
			return &k.deks[i], nil
		}
	}
	if k.generation > 1 && version > 0 && version < k.deks[0].version {
		return nil, fmt.Errorf("DEK version %d: %w", version, ErrErased)
	}
	return nil, fmt.Errorf("DEK version %d: %w", version, ErrNoKey)
}

func (d *dek) class(class uint8) *ClassKey {
	if c := d.classes[class].Load(); c != nil {
		return c
	}
	d.classes[class].CompareAndSwap(nil, newClassKey(d.key, class))
	return d.classes[class].Load()
}

// AuditKey seals this owner's entries in the audit trail.
func (k *OwnerKeys) AuditKey() secret.Bytes { return k.auditKey }

// AuditPseudonym names this owner in the audit trail; erasing the owner makes
// it meaningless.
func (k *OwnerKeys) AuditPseudonym() [16]byte { return k.pseudonym }

// IndexKey makes the tokens that are searchable only inside this owner.
func (k *OwnerKeys) IndexKey() secret.Bytes { return k.index }
