package keyring

import (
	"time"

	"github.com/fieldseal/fieldseal/crypto/secret"
)

var epochStart = time.Unix(1767323045, 0).UTC()

// ClassKeyOf makes a class key of a given DEK for vectors.
func ClassKeyOf(dek secret.Bytes, class uint8) *ClassKey { return newClassKey(dek, class) }

// SealerOf is the sealer of a class of a DEK.
func SealerOf(dek secret.Bytes, class uint8, drawn bool) (*Sealer, error) {
	return newSealer(dek, class, drawn)
}

// StorageIDOf computes a storage id under a given key for vectors.
func StorageIDOf(key secret.Bytes, typ, id string) [16]byte {
	return (&Ring{storage: newPRFPool(key)}).StorageID(typ, id)
}

// AuditKeysOf derives an owner's audit key and pseudonym for vectors.
func AuditKeysOf(audit secret.Bytes) (secret.Bytes, [16]byte) {
	s := newOwnerSecrets(1, epochStart)
	s.audit = audit
	k := newOwnerKeys([16]byte{}, &ownerRow{generation: 1}, s)
	return k.auditKey, k.pseudonym
}

// FrozenRows returns the frozen example rows' encodings.
func FrozenRows() (tenant, owner, tombstone []byte) {
	t := tenantRow{tenant: [16]byte{1, 2, 3}, created: epochStart, current: 2, lastKEK: 2,
		rotation: rotation{target: 2, started: epochStart, done: 1, total: 3},
		keks:     []kekRow{{1, epochStart, Wrapped{"file/00", []byte{0xaa}}}, {2, epochStart, Wrapped{"file/00", []byte{0xbb}}}},
		secrets:  []secretRow{{purposeStorageID, 1, epochStart, 2, []byte{0xcc}}}}
	o := ownerRow{state: stateLive, generation: 1, changed: epochStart, dek: 1, kek: 2, blob: []byte{0xdd, 0xee}}
	x := ownerRow{state: stateErased, generation: 1, changed: epochStart, dek: 1}
	return t.encode(), o.encode(), x.encode()
}

// Reencode decodes a row and encodes it again.
func Reencode(tenant bool, raw []byte) ([]byte, error) {
	if tenant {
		t, err := decodeTenant(raw)
		if err != nil {
			return nil, err
		}
		return t.encode(), nil
	}
	w, err := decodeOwner(raw)
	if err != nil {
		return nil, err
	}
	return w.encode(), nil
}

// SeatAAD is the associated data of an owner's blob, for vectors.
func SeatAAD() []byte {
	return seat{tenant: [16]byte{1}, purpose: purposeOwner, owner: [16]byte{2}, version: 3, generation: 4, kek: 5}.aad()
}

// RowKeyOf is the key of a sealed row under a secret of storage ids.
func RowKeyOf(k secret.Bytes, table string, key []byte) secret.Bytes {
	return newPRFPool(k).rowKey(table, key)
}
