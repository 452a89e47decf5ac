package trail

import (
	"context"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/fieldseal/fieldseal/audit"
)

// draft is an event whose keys are at hand and which only lacks its sequence
// number: sealing it cannot fail.
type draft struct {
	body  *subkey
	plain []byte // body plaintext, then every patient's, each padded
	cut   int    // where the body plaintext ends
	parts []sealedPart
	terms []uint64

	owners []audit.Owner // scratch
	aad    []byte        // scratch
}

// prepare encodes the event and fetches every key that it needs.
func (t *Trail) prepare(ctx context.Context, d *draft, e *audit.Event) error {
	var err error
	if d.body, err = t.sealer.epochKey(ctx); err != nil {
		return err
	}
	l := newLayout(e, d.owners[:0])
	d.owners, d.parts = l.owners, d.parts[:0]
	d.terms = append(d.terms[:0], t.terms.term(termKind, string(e.Kind)), t.terms.term(termSubtype, string(e.Kind), e.Subtype))
	if e.Agent.Subject != "" {
		d.terms = append(d.terms, t.terms.term(termAgent, e.Agent.Subject))
	}
	if e.Agent.Who != "" {
		d.terms = append(d.terms, t.terms.term(termAgent, e.Agent.Who))
	}
	d.plain = pad(appendBody(d.plain[:0], e, l), 0)
	d.cut = len(d.plain)
	for _, o := range l.owners {
		p, err := t.sealer.patientPart(ctx, o)
		if err != nil {
			return err
		}
		if p.aead != nil {
			start := len(d.plain)
			d.plain = pad(appendPatient(d.plain, e, l, o), start)
			p.plain = d.plain[start:len(d.plain):len(d.plain)]
			d.terms = append(d.terms, patientTerm(p.pseudonym))
		}
		d.parts = append(d.parts, p)
	}
	if n := len(d.plain) + len(d.parts)*64; n > MaxEventBytes-1024 || len(d.parts) > 1<<16-1 {
		return ErrTooLarge
	}
	return nil
}

// appendBlock seals the draft for its place in the log:
//
//	u16 terms, u64 each | u32 epoch, salt, u32 length, sealed body |
//	u16 patients, each: pseudonym, u32 length, sealed entry
func (d *draft) appendBlock(b []byte, origin string, seq uint64) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(d.terms)))
	for _, term := range d.terms {
		b = binary.BigEndian.AppendUint64(b, term)
	}
	b = binary.BigEndian.AppendUint32(b, d.body.epoch)
	b = append(b, d.body.salt[:]...)
	d.aad = appendAAD(d.aad[:0], sealedBody, origin, seq, 0)
	b = appendSealed(b, d.body.aead, d.plain[:d.cut], d.aad)
	b = binary.BigEndian.AppendUint16(b, uint16(len(d.parts)))
	for i := range d.parts {
		p := &d.parts[i]
		b = append(b, p.pseudonym[:]...)
		if p.aead == nil {
			b = binary.BigEndian.AppendUint32(b, 0)
			continue
		}
		d.aad = appendAAD(d.aad[:0], sealedPatient, origin, seq, i)
		b = appendSealed(b, p.aead, p.plain, d.aad)
	}
	return b
}

func appendSealed(b []byte, aead cipher.AEAD, plain, aad []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(plain)+overhead))
	return aead.Seal(b, nil, plain, aad) // #nosec G407 -- the AEAD draws its nonce itself
}

// block is the parsed, still sealed body of a record.
type block struct {
	terms []byte // u64 each
	epoch uint32
	salt  [saltSize]byte
	body  []byte
	parts []blockPart
}

type blockPart struct {
	pseudonym Pseudonym
	sealed    []byte
}

func parseBlock(raw []byte) (block, error) {
	d := decoder{b: raw}
	var k block
	k.terms = d.take(8 * uint64(d.uint16()))
	k.epoch = d.uint32()
	copy(k.salt[:], d.take(saltSize))
	k.body = d.take(uint64(d.uint32()))
	n := int(d.uint16())
	if !d.bad && n*20 <= len(d.b) {
		k.parts = make([]blockPart, n)
	}
	for i := range k.parts {
		copy(k.parts[i].pseudonym[:], d.take(16))
		k.parts[i].sealed = d.take(uint64(d.uint32()))
	}
	if d.bad || len(k.parts) != n || len(d.b) != 0 {
		return block{}, fmt.Errorf("%w: record does not parse", ErrCorrupt)
	}
	return k, nil
}

func (d *decoder) uint16() uint16 {
	if b := d.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (d *decoder) uint32() uint32 {
	if b := d.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (k *block) eachTerm(f func(term uint64)) {
	for b := k.terms; len(b) >= 8; b = b[8:] {
		f(binary.BigEndian.Uint64(b))
	}
}

// place is where a record stands: what its parts are bound to.
type place struct {
	origin string
	seq    uint64
}

// openBody opens the part under the epoch key.
func (s *sealer) openBody(ctx context.Context, k *block, at place, e *audit.Event) (flags byte, err error) {
	aead, err := s.openKey(ctx, k.epoch, k.salt)
	if err != nil {
		return 0, err
	}
	plain, err := aead.Open(nil, nil, k.body, appendAAD(nil, sealedBody, at.origin, at.seq, 0))
	if err != nil {
		return 0, fmt.Errorf("%w: event %d does not open", ErrCorrupt, at.seq)
	}
	return decodeBody(plain, e)
}

// openEvent opens a record as far as its keys still exist.
func (s *sealer) openEvent(ctx context.Context, raw []byte, at place) (audit.Event, error) {
	var e audit.Event
	k, err := parseBlock(raw)
	if err != nil {
		return e, err
	}
	flags, err := s.openBody(ctx, &k, at, &e)
	if err != nil {
		return e, err
	}
	for i := range k.parts {
		if err := s.openPatient(ctx, &k.parts[i], at, i, flags, &e); err != nil {
			return e, err
		}
	}
	return e, nil
}

// openPatient opens one patient's entry; an erased patient leaves e as it is.
func (s *sealer) openPatient(ctx context.Context, p *blockPart, at place, i int, flags byte, e *audit.Event) error {
	if len(p.sealed) == 0 {
		return nil
	}
	var keys PatientKeys
	owner, err := s.keys.Patient(ctx, p.pseudonym)
	if err == nil {
		keys, err = s.keys.PatientKeys(ctx, owner)
	}
	if errors.Is(err, ErrErased) || (err == nil && keys.Pseudonym != p.pseudonym) {
		return nil // erased, or admitted again with other keys
	}
	if err != nil {
		return fmt.Errorf("reading a patient's audit key: %w", err)
	}
	aead, err := newGCM(keys.Key)
	if err != nil {
		return err
	}
	plain, err := aead.Open(nil, nil, p.sealed, appendAAD(nil, sealedPatient, at.origin, at.seq, i))
	if err != nil {
		return fmt.Errorf("%w: a patient's entry of event %d does not open", ErrCorrupt, at.seq)
	}
	return decodePatient(plain, e, flags)
}
