package pages

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fieldseal/fieldseal/authz/smart"
)

// names are plain words for the types that apps ask for most. Others are shown by
// the words of their own name.
var names = map[string]string{
	"*": "Everything in the record", "AllergyIntolerance": "Allergies", "Appointment": "Appointments", "AuditEvent": "Who looked at the record",
	"Binary": "Files", "CarePlan": "Care plans", "CareTeam": "Who gives care", "Communication": "Messages", "Condition": "Diagnoses and problems",
	"Consent": "Consents", "Coverage": "Insurance", "Device": "Devices and implants", "DiagnosticReport": "Reports of laboratories and imaging",
	"DocumentReference": "Documents and letters", "Encounter": "Visits and stays", "FamilyMemberHistory": "Family history", "Goal": "Goals of treatment",
	"ImagingStudy": "Images of examinations", "Immunization": "Vaccinations", "Location": "Places of care", "Media": "Photos, videos and recordings",
	"Medication": "Medicines", "MedicationAdministration": "Medicines that were given", "MedicationDispense": "Medicines that were handed out",
	"MedicationRequest": "Prescriptions", "MedicationStatement": "Medicines that are taken", "Observation": "Measurements, laboratory results and observations",
	"Organization": "Organizations", "Patient": "Name, birth date, address and contact details", "Practitioner": "Doctors, nurses and other professionals",
	"PractitionerRole": "Roles of professionals", "Procedure": "Operations and procedures", "Provenance": "Where entries come from",
	"QuestionnaireResponse": "Answers to questionnaires", "RelatedPerson": "Relatives and contacts", "ServiceRequest": "Orders and referrals",
	"Specimen": "Samples", "Task": "Tasks",
}

func typeName(typ string) string {
	if n := names[typ]; n != "" {
		return n
	}
	return apart(typ)
}

// apart writes the name of a type as words: ClinicalImpression becomes Clinical
// impression.
func apart(typ string) string {
	var b strings.Builder
	for i, r := range typ {
		if i > 0 && r >= 'A' && r <= 'Z' {
			b.WriteByte(' ')
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}

// does says what the letters of a scope permit.
func does(letters string) string {
	var verbs []string
	for _, v := range [][2]string{{"rs", "read"}, {"c", "add"}, {"u", "change"}, {"d", "delete"}} {
		if strings.ContainsAny(letters, v[0]) {
			verbs = append(verbs, v[1])
		}
	}
	text := sentence(verbs)
	switch only(letters, "rs") {
	case "r":
		text += " (one entry at a time)"
	case "s":
		text += " (in lists)"
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

func sentence(words []string) string {
	if n := len(words); n > 1 {
		return strings.Join(words[:n-1], ", ") + " and " + words[n-1]
	}
	return strings.Join(words, "")
}

// condition is the query of a granular scope in words: codes without the systems
// that they are from.
func condition(query string) string {
	var parts []string
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if plain, err := url.QueryUnescape(value); err == nil {
			value = plain
		}
		if i := strings.LastIndexByte(value, '|'); i >= 0 && i < len(value)-1 {
			value = value[i+1:]
		}
		parts = append(parts, strings.ReplaceAll(name, "-", " ")+" is "+strings.ReplaceAll(value, "-", " "))
	}
	return sentence(parts)
}

// contextOffer is a scope that asks for no data.
func contextOffer(text string) offer {
	o := offer{Scope: text, Group: groupContext}
	switch text {
	case smart.Admin:
		o.Group, o.Changes = groupServer, true
		o.Title, o.Detail = "Administer this server", "Policy, accounts and apps, as far as your role lets you, for 15 minutes"
	case smart.OpenID:
		o.Title, o.Detail = "That it is you", "A number that stands for you at this app, and when and how you logged in"
	case smart.FHIRUser:
		o.Title, o.Detail = "Who you are in the records here", "The entry that holds your name"
	case smart.LaunchPatient:
		o.Title, o.Detail = "Which patient you chose", "The number of the patient's record"
	case smart.Launch:
		o.Title, o.Detail = "What you were working on", "The patient or visit that was open when the app was started"
	case smart.LaunchEncounter:
		o.Title, o.Detail = "Which visit you chose", "The number of the visit"
	case smart.OfflineAccess:
		o.Group, o.Title, o.Detail = groupStay, "Keep access while you are away", "The app can go on when you have closed it, until you end it under “Authorised apps” (offline access)"
	case smart.OnlineAccess:
		o.Group, o.Title, o.Detail = groupStay, "Keep access while you use it", "The app can go on for as long as you work with it, 12 hours at most (online access)"
	default:
		typ, _, _ := smart.LaunchType(text)
		o.Title, o.Detail = "Further context of the start: "+typ, "The number of an entry that was open when the app was started"
	}
	return o
}

// methodNames are the methods of RFC 8176 in words.
var methodNames = map[string]string{"pwd": "password", "otp": "code", "pop": "passkey", "fed": "another provider"}

func methods(amr []string) string {
	var out []string
	for _, m := range amr {
		if n := methodNames[m]; n != "" {
			out = append(out, n)
		}
	}
	if len(out) == 0 {
		return "another provider"
	}
	return sentence(out)
}

// initial is the mark of an app.
func initial(name string) string {
	for _, r := range name {
		return strings.ToUpper(string(r))
	}
	return ""
}

func has(all []offer, group string) bool {
	return slices.ContainsFunc(all, func(o offer) bool { return o.Group == group })
}

// facts tell people of the same name apart.
func facts(p person) string {
	var parts []string
	if p.Born != "" {
		parts = append(parts, "born "+p.Born)
	}
	if p.Sex != "" {
		parts = append(parts, p.Sex)
	}
	return strings.Join(parts, ", ")
}

func born(p person) string {
	if f := facts(p); f != "" {
		return ", " + f
	}
	return ""
}

// long says how long, in hours up to two days and in days from there on; nothing
// for less than an hour.
func long(d time.Duration) string {
	n, unit := int(d/time.Hour), "hour"
	switch {
	case n == 0:
		return ""
	case n >= 48:
		n, unit = n/24, "day"
	}
	if n != 1 {
		unit += "s"
	}
	return strconv.Itoa(n) + " " + unit
}
