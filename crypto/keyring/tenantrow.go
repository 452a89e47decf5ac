package keyring

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/fieldseal/fieldseal/crypto/secret"
	"github.com/fieldseal/fieldseal/repository"
)

const (
	tenantKey   = "tenant"
	tenantMagic = "FKT1"
)

// kekRow is one KEK version, wrapped by the KMS.
type kekRow struct {
	version uint32
	created time.Time
	wrapped Wrapped
}

// secretRow is one of the tenant's secrets, wrapped by a KEK.
type secretRow struct {
	purpose purpose
	id      uint32 // epoch id; 1 where there is only one
	created time.Time
	kek     uint32
	blob    []byte
}

// rotation is the progress of RotateKEK, kept so that it can be resumed.
type rotation struct {
	target  uint32 // zero: none is under way
	started time.Time
	done    uint32
	total   uint32
}

// tenantRow is the keystore's one row about the tenant.
type tenantRow struct {
	tenant   [16]byte
	created  time.Time
	current  uint32 // KEK version that wraps what is new
	lastKEK  uint32 // highest version ever given out; versions are never reused
	rotation rotation
	keks     []kekRow
	secrets  []secretRow
}

func (t *tenantRow) encode() []byte {
	b := append(make([]byte, 0, 1024), tenantMagic...)
	b = append(b, t.tenant[:]...)
	b = appendTime(b, t.created)
	b = binary.BigEndian.AppendUint32(b, t.current)
	b = binary.BigEndian.AppendUint32(b, t.lastKEK)
	b = binary.BigEndian.AppendUint32(b, t.rotation.target)
	b = appendTime(b, t.rotation.started)
	b = binary.BigEndian.AppendUint32(b, t.rotation.done)
	b = binary.BigEndian.AppendUint32(b, t.rotation.total)
	b = binary.BigEndian.AppendUint32(b, uint32(len(t.keks)))
	for _, k := range t.keks {
		b = binary.BigEndian.AppendUint32(b, k.version)
		b = appendTime(b, k.created)
		b = appendLP(b, k.wrapped.KeyID)
		b = appendLP(b, k.wrapped.Blob)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(t.secrets)))
	for _, s := range t.secrets {
		b = append(b, byte(s.purpose))
		b = binary.BigEndian.AppendUint32(b, s.id)
		b = appendTime(b, s.created)
		b = binary.BigEndian.AppendUint32(b, s.kek)
		b = appendLP(b, s.blob)
	}
	return b
}

func decodeTenant(raw []byte) (*tenantRow, error) {
	d := decoder{b: raw}
	t := &tenantRow{}
	d.magic(tenantMagic)
	t.tenant, t.created, t.current, t.lastKEK = d.id(), d.time(), d.u32(), d.u32()
	t.rotation = rotation{target: d.u32(), started: d.time(), done: d.u32(), total: d.u32()}
	for range d.count(20) {
		k := kekRow{version: d.u32(), created: d.time()}
		k.wrapped = Wrapped{KeyID: string(d.lp()), Blob: d.lp()}
		t.keks = append(t.keks, k)
	}
	for range d.count(21) {
		s := secretRow{purpose: purpose(d.u8()), id: d.u32(), created: d.time(), kek: d.u32()}
		s.blob = d.lp()
		t.secrets = append(t.secrets, s)
	}
	if err := d.end("tenant"); err != nil {
		return nil, err
	}
	if _, ok := t.kek(t.current); !ok {
		return nil, fmt.Errorf("tenant row has no KEK version %d: %w", t.current, ErrCorrupt)
	}
	return t, nil
}

func (t *tenantRow) kek(version uint32) (kekRow, bool) {
	for _, k := range t.keks {
		if k.version == version {
			return k, true
		}
	}
	return kekRow{}, false
}

func (t *tenantRow) seat(s secretRow) seat {
	return seat{tenant: t.tenant, purpose: s.purpose, version: s.id, kek: s.kek}
}

// readTenant returns the tenant row and its revision, or ErrNotInitialized.
func readTenant(ctx context.Context, table repository.Table) (*tenantRow, uint64, error) {
	row, err := table.Get(ctx, []byte(tenantKey))
	if errors.Is(err, repository.ErrNotFound) {
		return nil, 0, ErrNotInitialized
	}
	if err != nil {
		return nil, 0, fmt.Errorf("reading tenant row: %w: %w", ErrUnavailable, err)
	}
	t, err := decodeTenant(row.Value)
	return t, row.Revision, err
}

// addKEK makes the next KEK version, wrapped by the KMS, and returns it open.
func (t *tenantRow) addKEK(ctx context.Context, o Options) (secret.Bytes, error) {
	key, version := secret.Random(keyBytes), t.lastKEK+1
	ctx, cancel := context.WithTimeout(ctx, o.KMSTimeout)
	defer cancel()
	w, err := o.Wrapper.Wrap(ctx, key, kekAAD(t.tenant, version))
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("wrapping KEK version %d: %w", version, kmsError(err))
	}
	t.keks = append(t.keks, kekRow{version, o.Now(), w})
	t.current, t.lastKEK = version, version
	return key, nil
}

// newTenant makes a tenant with its first KEK and all its secrets.
func newTenant(ctx context.Context, o Options) (*tenantRow, error) {
	t := &tenantRow{tenant: [16]byte(secret.Random(16).Expose()), created: o.Now()}
	key, err := t.addKEK(ctx, o)
	if err != nil {
		return nil, err
	}
	defer key.Wipe()
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	for _, p := range []purpose{purposeStorageID, purposeIndexEpoch, purposeAuditEpoch, purposeAuditIndex, purposeCheckpoint} {
		s := secretRow{purpose: p, id: 1, created: o.Now(), kek: t.current}
		s.blob = sealAt(aead, t.seat(s), secret.Random(keyBytes))
		t.secrets = append(t.secrets, s)
	}
	return t, nil
}
