package event

import (
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/crypto/field"
)

var (
	typePerson = coding{systemEntity, "1", "Person"}
	typeSystem = coding{systemEntity, "2", "System Object"}
	typeOther  = coding{systemEntity, "4", "Other"}

	rolePatient = coding{systemRole, "1", "Patient"}
	roleDomain  = coding{systemRole, "4", "Domain Resource"}
	roleQuery   = coding{systemRole, "24", "Query"}
)

// erased stands where the keys of a patient were destroyed.
const erased = "erased"

// Types of entity.detail.
const (
	detailClasses = "element-classes"
	detailTrace   = "trace-id"
)

// entities lists the query, the resources, every patient disclosed, the request
// and the intent.
func entities(e *audit.Entry) []entity {
	var out []entity
	search := strings.HasPrefix(e.Subtype, "search")
	if e.Query != "" {
		out = append(out, entity{Type: &typeSystem, Role: &roleQuery, Query: base64.StdEncoding.EncodeToString([]byte(e.Query))})
	}
	for i := range e.Entities {
		out = append(out, resource(&e.Entities[i], search))
	}
	out = append(out, patients(e.Entities)...)
	if e.RequestID != "" {
		n := entity{What: &reference{Identifier: &identifier{Value: e.RequestID}}, Type: &coding{System: systemRequest, Code: "XrequestId"}}
		if e.TraceID != "" {
			n.Detail = []detail{{detailTrace, e.TraceID}}
		}
		out = append(out, n)
	}
	if e.IntentSeq != 0 {
		out = append(out, entity{What: &reference{Reference: "AuditEvent/" + ID(e.Origin, e.IntentSeq)}, Type: &typeOther})
	}
	return out
}

// resource is one resource with its version and the element classes returned.
// In a search the type is the resource's, since BALP reserves "System Object"
// for the query there.
func resource(n *audit.Entity, search bool) entity {
	out := entity{What: &reference{Type: n.Type}, Type: &typeSystem, Role: &roleDomain}
	if search && n.Type != "" {
		out.Type = &coding{System: systemResource, Code: n.Type, Display: n.Type}
	}
	switch {
	case n.Erased:
		out.What.Display = erased
	case n.ID == "" || n.Type == "":
		out.What.Display = "unknown"
	case n.Version != 0:
		out.What.Reference = n.Type + "/" + n.ID + "/_history/" + strconv.FormatUint(n.Version, 10)
	default:
		out.What.Reference = n.Type + "/" + n.ID
	}
	if c := field.ClassSet(n.Classes); c != 0 {
		out.Detail = []detail{{detailClasses, c.String()}}
	}
	return out
}

// patients gives one entity for each distinct patient; all erased ones share
// one, since nothing is left to tell them apart.
func patients(ns []audit.Entity) []entity {
	var out []entity
	seen := make(map[audit.Owner]bool)
	for i := range ns {
		for j, o := range ns[i].Patients {
			if seen[o] {
				continue
			}
			seen[o] = true
			who := &reference{Type: "Patient", Display: erased}
			if j < len(ns[i].PatientIDs) && ns[i].PatientIDs[j] != "" {
				who = &reference{Reference: "Patient/" + ns[i].PatientIDs[j]}
			}
			out = append(out, entity{What: who, Type: &typePerson, Role: &rolePatient})
		}
	}
	return out
}
