package field

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/fieldseal/fieldseal/crypto/keyring"
)

// Suite names how a record is sealed; it stands in its header.
type Suite uint8

const (
	// SuiteCounter is AES-256-GCM under a key of its own per record and
	// class, with the slot number as nonce. It is opened, and written no more.
	SuiteCounter Suite = 1
	// SuiteRandom is SuiteCounter with random nonces. It is opened, and
	// written no more.
	SuiteRandom Suite = 2
	// SuiteDerived is AES-256-GCM under the key of the owner's class, with a
	// 96-bit nonce that is derived from the record's place and its random salt
	// under another key of the class.
	SuiteDerived Suite = 3
	// SuiteDrawn is SuiteDerived with random 96-bit nonces, the form that
	// GODEBUG=fips140=only accepts (SP 800-38D §8.2.2).
	SuiteDrawn Suite = 4
)

// seals reports whether new records are sealed with a suite.
func (s Suite) seals() bool { return s == SuiteDerived || s == SuiteDrawn }

// The first byte of a sealed record. What is sealed has formatVersion. Older
// formats, which have a key for each record and class, are opened; in
// formatHeaders every class group has a header of its own too.
const (
	formatHeaders    = 1
	formatRecordKeys = 2
	formatVersion    = 3
)

// of reports whether records of a format have the suite.
func (s Suite) of(format byte) bool {
	if format == formatVersion {
		return s.seals()
	}
	return s == SuiteCounter || s == SuiteRandom
}

// maxPositions bounds the places of one document; a resource of 8 MiB stays
// below it.
const maxPositions = 1 << 24

// Keys are an owner's class keys; *keyring.OwnerKeys is the implementation.
type Keys interface {
	Version() uint32
	Sealer(version uint32, class uint8, drawn bool) (*keyring.Sealer, error)
	// ClassKey is for records of older formats.
	ClassKey(version uint32, class uint8) (*keyring.ClassKey, error)
}

// Options of a Cipher.
type Options struct {
	Table  *Table
	Suite  Suite // of what is sealed: SuiteDerived or SuiteDrawn; all are opened
	Tenant [16]byte
}

// Validate reports every problem at once.
func (o Options) Validate() error {
	var errs []error
	if o.Table == nil {
		errs = append(errs, errors.New("field cipher needs a class table"))
	}
	if !o.Suite.seals() {
		errs = append(errs, fmt.Errorf("suite %d seals nothing", o.Suite))
	}
	return errors.Join(errs...)
}

// Cipher seals resources into records and opens the classes that a caller may
// see. Safe for concurrent use.
type Cipher struct {
	table  *Table
	suite  Suite
	tenant [16]byte
	random io.Reader
	work   sync.Pool // *work
	watch  func(op operation, class Class)
}

type operation uint8

const (
	opDerive operation = iota
	opSeal
	opOpen
)

// NewCipher returns a cipher for one tenant.
func NewCipher(o Options) (*Cipher, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	c := &Cipher{table: o.Table, suite: o.Suite, tenant: o.Tenant, random: rand.Reader}
	c.work.New = func() any { return &work{plan: plan{t: o.Table}} }
	return c, nil
}

// work is the reusable memory of one Seal or Open.
type work struct {
	plan
	outline
	out   []byte // class groups being sealed
	body  []byte // payloads of the class being sealed
	info  []byte // header and binding of the record
	aad   []byte
	okm   [64]byte                // key and commitment of a group of an older format
	mark  [keyring.MarkBytes]byte // nonce and commitment of a group
	place [placeBytes]byte        // digest of the record, and the class of the group
	base  [12]byte                // nonce of the group's first chunk
	group [numClasses][]byte      // groups of the body being opened, by class
	head  [headerBound]byte       // suite, class, DEK version and salt of the record being sealed or opened
	form  byte                    // format of the record
	iv    [12]byte

	commit  [commitBytes]byte // of the group derived last
	longest int               // bytes of plaintext that stood in plain at most
	fullest int               // and in body
}

// begin checks the binding and returns memory that is bound to the record.
func (c *Cipher) begin(b *Binding) (*work, error) {
	if b.Tenant != c.tenant || b.Type == "" || b.Version == 0 {
		return nil, ErrBinding
	}
	w := c.work.Get().(*work)
	w.bindRecord(b)
	return w, nil
}

// end wipes keys and plaintext before the memory is used again.
func (c *Cipher) end(w *work) {
	clear(w.okm[:])
	clear(w.plain[:max(w.longest, len(w.plain))])
	clear(w.body[:w.fullest])
	w.longest, w.fullest = 0, 0
	clear(w.entries)
	clear(w.arena)
	clear(w.text)
	if max(cap(w.plain), cap(w.body), cap(w.out)) > maxKeptBytes {
		return
	}
	w.entries, w.arena, w.stack, w.text = w.entries[:0], w.arena[:0], w.stack[:0], w.text[:0]
	w.plain, w.body, w.out, w.at = w.plain[:0], w.body[:0], w.out[:0], w.at[:0]
	w.order, w.modifiers, w.count = 0, 0, 0
	w.plan.fixed, w.restate = [fixedMembers]uint32{}, [fixedMembers]uint32{}
	clear(w.group[:])
	c.work.Put(w)
}

// maxKeptBytes is the largest buffer that is kept for the next call.
const maxKeptBytes = 64 << 10
