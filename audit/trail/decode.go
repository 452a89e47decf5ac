package trail

import (
	"encoding/binary"
	"fmt"

	"github.com/fieldseal/fieldseal/audit"
)

// decoder reads a sealed plaintext. The first fault makes every later read
// return zero values; err reports it.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) take(n uint64) []byte {
	if d.bad || n > uint64(len(d.b)) {
		d.bad = true
		return nil
	}
	out := d.b[:n]
	d.b = d.b[n:]
	return out
}

func (d *decoder) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if d.bad || n <= 0 {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) string() string { return string(d.take(d.uvarint())) }

// count reads the number of items that need at least one byte each.
func (d *decoder) count() int {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.bad = true
		return 0
	}
	return int(n)
}

func (d *decoder) err() error {
	if d.bad {
		return fmt.Errorf("%w: sealed event does not decode", ErrCorrupt)
	}
	return nil
}

// decodeBody fills e with what the body says. Entities of patients have their
// identity filled in by decodePatient.
func decodeBody(plain []byte, e *audit.Event) (flags byte, err error) {
	d := decoder{b: plain}
	if d.byte() != codecVersion {
		d.bad = true
	}
	flags = d.byte()
	e.Action, e.Outcome = audit.Action(d.byte()), audit.Outcome(d.byte())
	e.Kind, e.Subtype, e.Reason = audit.Kind(d.string()), d.string(), d.string()
	e.IntentSeq = d.uvarint()
	d.agent(&e.Agent, flags&flagPatientAgent != 0)
	e.RequestID, e.TraceID, e.PolicyRevision = d.string(), d.string(), d.string()
	if flags&flagPrivate == 0 {
		e.Query = d.string()
	}
	if n := d.count(); n > 0 {
		e.Entities = make([]audit.Entity, n)
	}
	for i := range e.Entities {
		d.entity(&e.Entities[i])
	}
	return flags, d.err()
}

func (d *decoder) agent(a *audit.Agent, hideWho bool) {
	a.Subject = d.string()
	if !hideWho {
		a.Who = d.string()
	}
	a.Client = d.string()
	for range d.count() {
		a.Roles = append(a.Roles, d.string())
	}
	a.Purpose, a.Address = d.string(), d.string()
}

func (d *decoder) entity(n *audit.Entity) {
	flags := d.byte()
	n.Type = d.string()
	n.Classes = uint16(d.uvarint())
	if flags&flagPatients == 0 {
		d.identity(n)
		return
	}
	count := d.uvarint()
	if d.bad || count > MaxEventBytes/16 {
		d.bad = true
		return
	}
	n.Patients = make([]audit.Owner, count)
	n.PatientIDs = make([]string, count)
	n.Erased = true // until an entry of a patient opens
}

func (d *decoder) identity(n *audit.Entity) {
	n.ID, n.Version, n.Expect = d.string(), d.uvarint(), d.uvarint()
	if d.byte() == 1 {
		copy(n.Key[:], d.take(16))
		copy(n.ContentHash[:], d.take(32))
	}
}

// decodePatient fills in what the entry of one patient says.
func decodePatient(plain []byte, e *audit.Event, flags byte) error {
	d := decoder{b: plain}
	if d.byte() != codecVersion {
		d.bad = true
	}
	var owner audit.Owner
	copy(owner[:], d.take(16))
	if flags&flagPrivate != 0 {
		e.Query = d.string()
	}
	if flags&flagPatientAgent != 0 {
		e.Agent.Who = d.string()
	}
	for !d.bad {
		at := d.uvarint()
		if at == 0 {
			break
		}
		slot := d.uvarint()
		if at > uint64(len(e.Entities)) || slot >= uint64(len(e.Entities[at-1].Patients)) {
			d.bad = true
			break
		}
		n := &e.Entities[at-1]
		n.Patients[slot], n.PatientIDs[slot] = owner, d.string()
		n.Erased = false
		d.identity(n)
	}
	return d.err()
}
