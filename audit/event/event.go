// Package event renders audit events as FHIR R4 AuditEvent resources by the
// profiles of IHE BALP 1.1.4.
//
// Start with Render; ID and ParseID turn a place in a trail into a logical id
// and back. Profiles are named only where the event meets them: BALP describes
// successful interactions about at most one patient, so a page about several
// patients, a denial and a login are plain AuditEvents of the same form.
//
// Security: the output names patients and users. What was sealed under the keys
// of an erased patient is shown as erased, never guessed. The resources are built
// from structs of this package, not from the generated ones, because those write
// both forms of AuditEvent.entity.detail.value, of which R4 allows one.
//
// Ids and codings stay as they are.
package event

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/fieldseal/fieldseal/audit"
)

// Systems of the codes in use.
const (
	systemType        = "http://terminology.hl7.org/CodeSystem/audit-event-type"
	systemInteraction = "http://hl7.org/fhir/restful-interaction"
	systemDICOM       = "http://dicom.nema.org/resources/ontology/DCM"
	systemParticipant = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
	systemProvenance  = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
	systemReason      = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
	systemSource      = "http://terminology.hl7.org/CodeSystem/security-source-type"
	systemEntity      = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
	systemRole        = "http://terminology.hl7.org/CodeSystem/object-role"
	systemResource    = "http://hl7.org/fhir/resource-types"
	systemRequest     = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType"
	systemSubtype     = "urn:fieldseal:audit-subtype"
	profileBase       = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
	policyBase        = "urn:fieldseal:policy:"
)

// idDigits is the width of the sequence number in a logical id: ids sort as
// their events do.
const idDigits = 12

// ID is the logical id of the AuditEvent at a place of a trail, such as
// n1-000000000123.
func ID(origin string, seq uint64) string { return fmt.Sprintf("%s-%0*d", origin, idDigits, seq) }

// ParseID reads a logical id. It accepts exactly what ID makes.
func ParseID(id string) (origin string, seq uint64, ok bool) {
	origin, digits, found := strings.Cut(id, "-")
	seq, err := strconv.ParseUint(digits, 10, 64)
	if !found || err != nil || seq == 0 || origin == "" || ID(origin, seq) != id {
		return "", 0, false
	}
	return origin, seq, true
}

// Render returns the event as an AuditEvent in JSON. base is the FHIR base URL
// of this server. It may be called concurrently.
func Render(e audit.Entry, base string) ([]byte, error) {
	r := &auditEvent{
		ResourceType: "AuditEvent", ID: ID(e.Origin, e.Seq),
		Meta:     meta{VersionID: "1", LastUpdated: instant(e.Time)},
		Recorded: instant(e.Time), Source: source{
			Site: e.Origin, Observer: reference{Display: "fieldseal " + e.Origin},
			Type: []coding{{systemSource, "4", "Application Server"}},
		},
	}
	r.Type, r.Subtype = types(&e)
	if strings.IndexByte("CRUDE", byte(e.Action)) >= 0 {
		r.Action = string(rune(e.Action))
	}
	r.Outcome, r.OutcomeDesc = outcome(&e)
	if e.Agent.Purpose != "" {
		r.Purpose = []concept{{Coding: []coding{{System: systemReason, Code: e.Agent.Purpose}}}}
	}
	r.Agent = agents(&e, base)
	r.Entity = entities(&e)
	if p := profile(&e, r); p != "" {
		r.Meta.Profile = []string{profileBase + p}
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		return nil, fmt.Errorf("rendering an audit event: %w", err)
	}
	return bytes.TrimRight(out.Bytes(), "\n"), nil
}

func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z07:00") }

// Kinds are the kinds of events that AuditEvent.type shows under a code, for a
// search by type (R4 search.html#token). An empty system means any; an unknown
// code has none.
func Kinds(system, code string) []audit.Kind {
	var out []audit.Kind
	for _, k := range []audit.Kind{audit.REST, audit.Login, audit.Security, audit.System} {
		t, _ := types(&audit.Entry{Event: audit.Event{Kind: k}})
		if t.Code == code && (system == "" || t.System == system) {
			out = append(out, k)
		}
	}
	return out
}

// types maps kind and subtype to AuditEvent.type and .subtype.
func types(e *audit.Entry) (coding, []coding) {
	own := []coding{{System: systemSubtype, Code: e.Subtype}}
	if e.Subtype == "" {
		own = nil
	}
	switch e.Kind {
	case audit.REST:
		if own != nil {
			own[0] = coding{systemInteraction, e.Subtype, e.Subtype}
		}
		return coding{systemType, "rest", "Restful Operation"}, own
	case audit.Login:
		if e.Subtype == "login" {
			own = append(own, coding{systemDICOM, "110122", "Login"})
		}
		return coding{systemDICOM, "110114", "User Authentication"}, own
	case audit.System:
		switch e.Subtype {
		case "start":
			own = append(own, coding{systemDICOM, "110120", "Application Start"})
		case "stop":
			own = append(own, coding{systemDICOM, "110121", "Application Stop"})
		}
		return coding{systemDICOM, "110100", "Application Activity"}, own
	default:
		return coding{systemDICOM, "110113", "Security Alert"}, own
	}
}

// outcome maps the outcome; an intent and an unknown outcome have no code.
func outcome(e *audit.Entry) (code, desc string) {
	switch e.Outcome {
	case audit.Success, audit.MinorFailure, audit.SeriousFailure:
		code = string(rune(e.Outcome))
	case audit.MajorFailure:
		code = "12"
	case audit.Intent:
		desc = "intent: the outcome follows in an event of its own"
	default:
		desc = "unknown: the outcome could not be told after an interruption"
	}
	if e.Reason != "" {
		desc = e.Reason
	}
	return code, desc
}

// profile names the BALP profile that the resource meets, or nothing.
func profile(e *audit.Entry, r *auditEvent) string {
	if e.Kind != audit.REST || e.Outcome != audit.Success || e.Agent.Address == "" || e.Agent.Client == "" {
		return ""
	}
	patients, data, query := r.count()
	name, fits := "", data == 1
	switch e.Subtype {
	case "read", "vread":
		name, fits = "Read", fits && e.Action == audit.Read
	case "create":
		name, fits = "Create", fits && e.Action == audit.Create
	case "update", "patch":
		name, fits = "Update", fits && e.Action == audit.Update
	case "delete":
		name, fits = "Delete", fits && e.Action == audit.Delete
	case "search-type", "search-system":
		name, fits = "Query", query && e.Action == audit.Execute
	}
	if name == "" || !fits {
		return ""
	}
	if patients == 1 {
		return "Patient" + name
	}
	return name
}
