package keyring

import (
	"crypto/cipher"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/fieldseal/fieldseal/crypto/secret"
	"github.com/fieldseal/fieldseal/repository"
)

const (
	ownerPrefix = "owner/"
	ownerMagic  = "FKO1"
)

// ownerState is the state of an owner's row; the values are stored.
type ownerState byte

const (
	stateLive   ownerState = 1
	stateFenced ownerState = 2 // no key leaves the keystore any more
	stateErased ownerState = 3 // tombstone: the keys are gone, the row stays
)

// ownerRow is one owner's keys, or the tombstone that they left.
type ownerRow struct {
	state      ownerState
	generation uint32 // from 1; readmission starts the next
	changed    time.Time
	dek        uint32 // current DEK version; of a tombstone the last ever used
	kek        uint32 // KEK version that wraps blob; zero without one
	blob       []byte // empty in a tombstone
}

func ownerRowKey(o repository.Owner) []byte {
	return append([]byte(ownerPrefix), o[:]...)
}

func ownerOfKey(key []byte) (o repository.Owner, err error) {
	if len(key) != len(ownerPrefix)+len(o) {
		return o, fmt.Errorf("owner row key of %d bytes: %w", len(key), ErrCorrupt)
	}
	copy(o[:], key[len(ownerPrefix):])
	return o, nil
}

func (w *ownerRow) encode() []byte {
	b := append(make([]byte, 0, 33+len(w.blob)), ownerMagic...)
	b = append(b, byte(w.state))
	b = binary.BigEndian.AppendUint32(b, w.generation)
	b = appendTime(b, w.changed)
	b = binary.BigEndian.AppendUint32(b, w.dek)
	b = binary.BigEndian.AppendUint32(b, w.kek)
	return appendLP(b, w.blob)
}

func decodeOwner(raw []byte) (*ownerRow, error) {
	d := decoder{b: raw}
	d.magic(ownerMagic)
	w := &ownerRow{state: ownerState(d.u8()), generation: d.u32(), changed: d.time(), dek: d.u32(), kek: d.u32()}
	w.blob = d.lp()
	if err := d.end("owner"); err != nil {
		return nil, err
	}
	live := w.state == stateLive && len(w.blob) > 0
	fenced := w.state == stateFenced
	erased := w.state == stateErased && len(w.blob) == 0
	if w.generation == 0 || (w.kek == 0) != (len(w.blob) == 0) || !live && !fenced && !erased {
		return nil, fmt.Errorf("owner row: %w", ErrCorrupt)
	}
	return w, nil
}

func (w *ownerRow) seat(tenant [16]byte, o repository.Owner) seat {
	return seat{tenant: tenant, purpose: purposeOwner, owner: o, version: w.dek, generation: w.generation, kek: w.kek}
}

// dekEntry is one DEK version.
type dekEntry struct {
	version uint32
	created time.Time
	key     secret.Bytes
}

// ownerSecrets is what an owner row's blob holds.
type ownerSecrets struct {
	deks  []dekEntry // ascending versions
	index secret.Bytes
	audit secret.Bytes
}

func newOwnerSecrets(version uint32, now time.Time) *ownerSecrets {
	return &ownerSecrets{
		deks:  []dekEntry{{version, now, secret.Random(keyBytes)}},
		index: secret.Random(keyBytes),
		audit: secret.Random(keyBytes),
	}
}

func (s *ownerSecrets) encode() secret.Bytes {
	b := make([]byte, 0, 4+len(s.deks)*(12+keyBytes)+2*keyBytes)
	b = binary.BigEndian.AppendUint32(b, uint32(len(s.deks)))
	for _, d := range s.deks {
		b = binary.BigEndian.AppendUint32(b, d.version)
		b = appendTime(b, d.created)
		b = append(b, d.key.Expose()...)
	}
	b = append(b, s.index.Expose()...)
	return secret.New(append(b, s.audit.Expose()...))
}

func decodeOwnerSecrets(plain secret.Bytes) (*ownerSecrets, error) {
	d := decoder{b: plain.Expose()}
	s := &ownerSecrets{}
	for range d.count(12 + keyBytes) {
		e := dekEntry{version: d.u32(), created: d.time()}
		e.key = secret.Copy(d.take(keyBytes))
		s.deks = append(s.deks, e)
	}
	s.index, s.audit = secret.Copy(d.take(keyBytes)), secret.Copy(d.take(keyBytes))
	if err := d.end("owner key"); err != nil {
		return nil, err
	}
	if len(s.deks) == 0 {
		return nil, fmt.Errorf("owner row without DEK: %w", ErrCorrupt)
	}
	return s, nil
}

// seal wraps s into w under the given KEK version.
func (w *ownerRow) seal(tenant [16]byte, o repository.Owner, kek cipher.AEAD, version uint32, s *ownerSecrets) {
	w.kek = version
	plain := s.encode()
	w.blob = sealAt(kek, w.seat(tenant, o), plain)
	plain.Wipe()
}

// open unwraps the row's keys.
func (w *ownerRow) open(tenant [16]byte, o repository.Owner, kek cipher.AEAD) (*ownerSecrets, error) {
	plain, err := openAt(kek, w.seat(tenant, o), w.blob)
	if err != nil {
		return nil, err
	}
	defer plain.Wipe()
	s, err := decodeOwnerSecrets(plain)
	if err != nil {
		return nil, err
	}
	if last := s.deks[len(s.deks)-1].version; last != w.dek {
		return nil, fmt.Errorf("owner row names DEK version %d, holds %d: %w", w.dek, last, ErrCorrupt)
	}
	return s, nil
}
