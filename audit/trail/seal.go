package trail

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/fieldseal/fieldseal/audit"
)

// Sizes inside a sealed block.
const (
	saltSize = 16
	keySize  = 32
	overhead = 12 + 16 // random nonce and tag of one AEAD call
	padStep  = 32      // plaintexts are padded to multiples of this
)

// maxSeals bounds how often one epoch subkey is used: far below the 2^32 random
// nonces of SP 800-38D §8.3.
const maxSeals = 1 << 28

// Kinds of sealed plaintexts, part of the associated data.
const (
	sealedBody    = 1
	sealedPatient = 2
)

// sealer seals and opens the parts of records. Epoch bodies are
// sealed under a subkey of the epoch key with a salt of its own for each
// process, each patient's entry under the patient's key directly.
type sealer struct {
	keys    Keys
	current atomic.Pointer[subkey]
	mu      sync.Mutex // guards renewal of current
}

type subkey struct {
	epoch uint32
	salt  [saltSize]byte
	aead  cipher.AEAD
	used  atomic.Uint64
}

func newSealer(keys Keys) *sealer { return &sealer{keys: keys} }

// newGCM is the approved form of AES-GCM: the nonce is random, made inside and
// stands before the ciphertext (FIPS 140-3 IG C.H).
func newGCM(key []byte) (cipher.AEAD, error) {
	if len(key) != keySize {
		return nil, errors.New("audit key has the wrong length")
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// deriveSubkey is SP 800-108r1 §4.1 in counter mode over HMAC-SHA-256, one
// block: label "fieldseal audit epoch v1", context the salt.
func deriveSubkey(epochKey []byte, salt [saltSize]byte) (cipher.AEAD, error) {
	m := hmac.New(sha256.New, epochKey)
	m.Write([]byte{0, 0, 0, 1})
	m.Write([]byte("fieldseal audit epoch v1\x00"))
	m.Write(salt[:])
	m.Write([]byte{0, 0, 1, 0})
	return newGCM(m.Sum(nil))
}

// epochKey returns the subkey for the current epoch, renewed when the epoch
// changes or the subkey is used up.
func (s *sealer) epochKey(ctx context.Context) (*subkey, error) {
	e, err := s.keys.CurrentEpoch(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the audit epoch key: %w", err)
	}
	if k := s.current.Load(); k != nil && k.epoch == e.ID && k.used.Add(1) < maxSeals {
		return k, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.current.Load(); k != nil && k.epoch == e.ID && k.used.Add(1) < maxSeals {
		return k, nil
	}
	k := &subkey{epoch: e.ID}
	rand.Read(k.salt[:])
	if k.aead, err = deriveSubkey(e.Key, k.salt); err != nil {
		return nil, err
	}
	s.current.Store(k)
	return k, nil
}

// openKey returns the subkey that sealed a stored body.
func (s *sealer) openKey(ctx context.Context, epoch uint32, salt [saltSize]byte) (cipher.AEAD, error) {
	if k := s.current.Load(); k != nil && k.epoch == epoch && k.salt == salt {
		return k.aead, nil
	}
	e, err := s.keys.Epoch(ctx, epoch)
	if err != nil {
		return nil, fmt.Errorf("reading audit epoch key %d: %w", epoch, err)
	}
	return deriveSubkey(e.Key, salt)
}

// appendAAD binds a part to its kind, origin, sequence and place in the record.
func appendAAD(b []byte, kind byte, origin string, seq uint64, part int) []byte {
	b = append(b, "fieldseal audit v1\x00"...)
	b = append(b, kind)
	b = binary.BigEndian.AppendUint64(b, seq)
	b = binary.BigEndian.AppendUint32(b, uint32(part))
	return append(b, origin...)
}

// pad fills a plaintext with zeros up to the next step; the codecs ignore what
// follows their last field.
func pad(b []byte, start int) []byte {
	for (len(b)-start)%padStep != 0 {
		b = append(b, 0)
	}
	return b
}

// sealedPart is one patient of an event before it is sealed.
type sealedPart struct {
	pseudonym Pseudonym
	aead      cipher.AEAD // nil: the patient was erased before, nothing is kept
	plain     []byte
}

// patientPart fetches what is needed to seal a patient's entry.
func (s *sealer) patientPart(ctx context.Context, o audit.Owner) (sealedPart, error) {
	k, err := s.keys.PatientKeys(ctx, o)
	if errors.Is(err, ErrErased) {
		return sealedPart{}, nil
	}
	if err != nil {
		return sealedPart{}, fmt.Errorf("reading a patient's audit key: %w", err)
	}
	aead, err := newGCM(k.Key)
	if err != nil {
		return sealedPart{}, err
	}
	return sealedPart{pseudonym: k.Pseudonym, aead: aead}, nil
}
