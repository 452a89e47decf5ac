package trail

import (
	"encoding/binary"
	"strings"

	"github.com/fieldseal/fieldseal/audit"
)

// codecVersion stands first in every sealed plaintext.
const codecVersion = 1

// Flags of a body and of its entities.
const (
	flagPrivate      = 1 << 0 // body: the query stands in the only patient's entry
	flagPatientAgent = 1 << 1 // body: so does the agent's reference, which is a Patient's
	flagPatients     = 1 << 0 // entity: identity stands in the patients' entries
)

// layout says how one event is split: the body for the epoch key, and one entry
// for each distinct patient.
type layout struct {
	owners []audit.Owner
	flags  byte // flagPrivate, flagPatientAgent
}

// newLayout collects the distinct patients of an event in order of appearance.
func newLayout(e *audit.Event, owners []audit.Owner) layout {
	for i := range e.Entities {
		for _, o := range e.Entities[i].Patients {
			if indexOf(owners, o) < 0 {
				owners = append(owners, o)
			}
		}
	}
	l := layout{owners: owners}
	if len(owners) == 1 {
		l.flags = flagPrivate
		if strings.HasPrefix(e.Agent.Who, "Patient/") {
			l.flags |= flagPatientAgent
		}
	}
	return l
}

func indexOf(owners []audit.Owner, o audit.Owner) int {
	for i := len(owners) - 1; i >= 0; i-- {
		if owners[i] == o {
			return i
		}
	}
	return -1
}

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

// appendBody encodes what is sealed under the epoch key.
func appendBody(b []byte, e *audit.Event, l layout) []byte {
	b = append(b, codecVersion, l.flags, byte(e.Action), byte(e.Outcome))
	b = appendString(b, string(e.Kind))
	b = appendString(b, e.Subtype)
	b = appendString(b, e.Reason)
	b = binary.AppendUvarint(b, e.IntentSeq)
	b = appendAgent(b, &e.Agent, l.flags&flagPatientAgent != 0)
	b = appendString(b, e.RequestID)
	b = appendString(b, e.TraceID)
	b = appendString(b, e.PolicyRevision)
	if l.flags&flagPrivate == 0 {
		b = appendString(b, e.Query)
	}
	b = binary.AppendUvarint(b, uint64(len(e.Entities)))
	for i := range e.Entities {
		b = appendEntity(b, &e.Entities[i])
	}
	return b
}

func appendAgent(b []byte, a *audit.Agent, hideWho bool) []byte {
	b = appendString(b, a.Subject)
	if !hideWho {
		b = appendString(b, a.Who)
	}
	b = appendString(b, a.Client)
	b = binary.AppendUvarint(b, uint64(len(a.Roles)))
	for _, r := range a.Roles {
		b = appendString(b, r)
	}
	b = appendString(b, a.Purpose)
	return appendString(b, a.Address)
}

func appendEntity(b []byte, n *audit.Entity) []byte {
	var flags byte
	if len(n.Patients) > 0 {
		flags |= flagPatients
	}
	b = append(b, flags)
	b = appendString(b, n.Type)
	b = binary.AppendUvarint(b, uint64(n.Classes))
	if len(n.Patients) == 0 {
		return appendIdentity(b, n)
	}
	return binary.AppendUvarint(b, uint64(len(n.Patients)))
}

func appendIdentity(b []byte, n *audit.Entity) []byte {
	b = appendString(b, n.ID)
	b = binary.AppendUvarint(b, n.Version)
	b = binary.AppendUvarint(b, n.Expect)
	full := n.Key != [16]byte{} || n.ContentHash != [32]byte{}
	if !full {
		return append(b, 0)
	}
	b = append(b, 1)
	b = append(b, n.Key[:]...)
	return append(b, n.ContentHash[:]...)
}

// appendPatient encodes what is sealed under the audit key of one patient: who
// it is and the identity of every resource that lies in its compartment.
func appendPatient(b []byte, e *audit.Event, l layout, owner audit.Owner) []byte {
	b = append(b, codecVersion)
	b = append(b, owner[:]...)
	if l.flags&flagPrivate != 0 {
		b = appendString(b, e.Query)
	}
	if l.flags&flagPatientAgent != 0 {
		b = appendString(b, e.Agent.Who)
	}
	for i := range e.Entities {
		n := &e.Entities[i]
		slot := indexOf(n.Patients, owner)
		if slot < 0 {
			continue
		}
		b = binary.AppendUvarint(b, uint64(i)+1)
		b = binary.AppendUvarint(b, uint64(slot))
		id := ""
		if slot < len(n.PatientIDs) {
			id = n.PatientIDs[slot]
		}
		b = appendString(b, id)
		b = appendIdentity(b, n)
	}
	return append(b, 0)
}
