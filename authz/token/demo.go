package token

import "fmt"

// DemoClient is the built-in client of demo tokens. It exists only where
// Options.AllowDemo is set and is exempt from the lifetime rule.
const DemoClient = "demo"

// DemoRoles are the roles of interface.md in the order in which they are
// shown.
func DemoRoles() []string {
	return []string{"clinician", "physician", "nurse", "researcher", "patient", "integration", "registrar", "device", "privacy-officer", "admin", "security-officer"}
}

// DemoClaims are the claims of a demo role's user. The clinician is the
// Practitioner and the patient the Patient with the given logical ids.
func DemoClaims(role, practitioner, patient string) (Claims, error) {
	c := Claims{Account: "user:demo-" + role, Client: DemoClient, Roles: []string{"role:" + role}, AMR: []string{"demo"}}
	switch role {
	case "clinician":
		c.Scopes, c.Purpose, c.Who = []string{"user/*.cruds"}, "TREAT", "Practitioner/"+practitioner
	case "physician":
		c.Scopes, c.Purpose, c.Who = []string{"user/*.rs"}, "TREAT", "Practitioner/"+practitioner
	case "nurse":
		c.Scopes, c.Purpose = []string{"user/*.rs"}, "TREAT"
	case "researcher":
		c.Scopes, c.Purpose = []string{"user/*.rs"}, "HRESCH"
	case "patient":
		c.Scopes, c.Purpose, c.Who, c.Patient = []string{"patient/*.rs"}, "PATRQT", "Patient/"+patient, patient
	case "integration":
		c.Account, c.Scopes, c.Purpose = "client:demo-integration", []string{"system/*.cruds"}, "TREAT"
	case "registrar":
		c.Scopes, c.Purpose = []string{"user/*.crus"}, "HOPERAT"
	case "device":
		c.Account, c.Scopes, c.Purpose = "client:demo-device", []string{"system/Observation.c"}, "TREAT"
	case "privacy-officer":
		c.Scopes, c.Purpose = []string{"user/AuditEvent.rs"}, "HOPERAT"
	case "admin":
		c.Scopes, c.Purpose = []string{"fieldseal/admin"}, "HSYSADMIN"
	case "security-officer": // its second factor is as old as AuthTime says, like anybody's
		c.Scopes, c.Purpose, c.AMR = []string{"fieldseal/admin"}, "HSYSADMIN", []string{"demo", "mfa"}
	default:
		return Claims{}, fmt.Errorf("%w: %q is no demo role", ErrClaims, role)
	}
	return c, nil
}
