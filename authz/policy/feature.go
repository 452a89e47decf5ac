package policy

import (
	"strings"

	"github.com/fieldseal/fieldseal/authz"
)

// feature is what a compiled program depends on beside roles, scopes and
// purpose: which kind of account it is and what its context holds.
type feature uint8

const (
	isUser feature = 1 << iota
	isClient
	hasPatient
	hasOrgs
	hasWho          // a FHIR reference of the user
	hasPractitioner // and it names a Practitioner or PractitionerRole
	hasGlass
)

func (f feature) has(o feature) bool { return f&o == o }

// Prefixes keep accounts and roles apart: an account that is called like a
// role never becomes the role (trap 4 of access.md).
const (
	userPrefix   = "user:"
	clientPrefix = "client:"
	rolePrefix   = "role:"
)

func featuresOf(s *authz.Subject) feature {
	var f feature
	id := s.ID()
	switch {
	case strings.HasPrefix(id, userPrefix) && len(id) > len(userPrefix):
		f = isUser
	case strings.HasPrefix(id, clientPrefix) && len(id) > len(clientPrefix):
		f = isClient
	}
	if _, ok := s.PatientKey(); ok {
		f |= hasPatient
	}
	if len(s.Orgs()) > 0 {
		f |= hasOrgs
	}
	if s.Who() != "" {
		f |= hasWho
	}
	if strings.HasPrefix(s.Who(), "Practitioner/") || strings.HasPrefix(s.Who(), "PractitionerRole/") {
		f |= hasPractitioner
	}
	if _, broken := s.Glass(); broken {
		f |= hasGlass
	}
	return f
}
