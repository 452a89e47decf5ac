package token

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/fhir"
)

// ErrClaims means that a token with these claims must not be issued.
var ErrClaims = errors.New("token claims are refused")

const defaultPurpose = "TREAT"

// Claims say whom a token is for.
type Claims struct {
	Account  string    `json:"sub"`    // user:NAME or client:NAME
	Client   string    `json:"client"` // OAuth client id
	Roles    []string  `json:"roles"`  // role:NAME, and group:NAME whose roles the policy assigns
	Scopes   []string  `json:"scopes"` // SMART v2
	Who      string    `json:"who,omitempty"`
	Patient  string    `json:"patient,omitempty"` // logical id of the patient in context
	Orgs     []string  `json:"orgs,omitempty"`    // logical ids of Organizations
	AMR      []string  `json:"amr,omitempty"`
	AuthTime time.Time `json:"auth_time,omitzero"`
	Purpose  string    `json:"purpose,omitempty"`  // TREAT when empty
	Purposes []string  `json:"purposes,omitempty"` // that a request may name besides
	// Context is the launch context that came with the token beside the patient
	// (SMART App Launch 2.2): encounter, fhirContext and the like.
	Context  map[string]any `json:"context,omitempty"`
	Lifetime time.Duration  `json:"-"` // 0 = the default of the kind of account
}

// check reports every problem at once and returns the lifetime in force; zero
// means for ever (demo only).
func (c Claims) check(allowDemo bool) (time.Duration, error) {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	service := strings.HasPrefix(c.Account, "client:")
	if name := strings.TrimPrefix(strings.TrimPrefix(c.Account, "client:"), "user:"); name == c.Account || name == "" {
		fault("the account must be user:NAME or client:NAME")
	}
	if c.Client == "" {
		fault("the client is missing")
	}
	for _, r := range c.Roles {
		if name := strings.TrimPrefix(strings.TrimPrefix(r, "group:"), "role:"); name == r || name == "" {
			fault("role %q must be role:NAME or group:NAME", r)
		}
	}
	for _, s := range c.Scopes {
		if s == "" || strings.ContainsAny(s, " \t\r\n\"\\") { // RFC 6749 §3.3
			fault("a scope is empty or holds a character that scopes cannot have")
		}
	}
	if c.Patient != "" && !fhir.ValidID(c.Patient) {
		fault("the patient is not a logical id")
	}
	for _, p := range append([]string{c.Purpose}, c.Purposes...) {
		if p == authz.BreakGlassPurpose {
			fault("the purpose BTG comes with breaking the glass and with no token")
		}
	}
	for _, o := range c.Orgs {
		if !fhir.ValidID(o) {
			fault("an organization is not a logical id")
		}
	}
	lifetime, err := c.lifetime(service, allowDemo)
	if err != nil {
		errs = append(errs, err)
	}
	if len(errs) > 0 {
		return 0, fmt.Errorf("%w: %w", ErrClaims, errors.Join(errs...))
	}
	return lifetime, nil
}

func (c Claims) lifetime(service, allowDemo bool) (time.Duration, error) {
	if c.Lifetime < 0 {
		return 0, errors.New("the lifetime is negative")
	}
	if c.Client == DemoClient {
		if !allowDemo {
			return 0, errors.New("demo tokens exist in the development profile on loopback only")
		}
		return c.Lifetime, nil
	}
	usual, most := DefaultLifetime, MaxLifetime
	if service {
		usual, most = ServiceLifetime, ServiceLifetime
	}
	if c.Lifetime == 0 {
		return usual, nil
	}
	if c.Lifetime > most || c.Lifetime < time.Second {
		return 0, fmt.Errorf("the lifetime must be between 1s and %v", most)
	}
	return c.Lifetime, nil
}
