package oauth

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ory/fosite"

	"github.com/fieldseal/fieldseal/authz/client"
	"github.com/fieldseal/fieldseal/authz/smart"
	"github.com/fieldseal/fieldseal/fhir"
)

// LaunchLifetime is how long an app may take from the call of the EHR to the
// user's decision (access.md, SMART 4).
const LaunchLifetime = 5 * time.Minute

// launchPrefix starts every launch value.
const launchPrefix = "fsl_"

// Limits of what an EHR may put into a launch.
const (
	maxReferences = 32
	maxTextBytes  = 512 // of one text of a launch
)

// Launch is what an EHR started an app with (SMART App Launch 2.2, EHR launch).
type Launch struct {
	Account   string      `json:"user"`                // who is to use the app
	Patient   string      `json:"patient,omitempty"`   // logical id
	Encounter string      `json:"encounter,omitempty"` // logical id, of the patient
	Also      []InContext `json:"fhirContext,omitempty"`
	Intent    string      `json:"intent,omitempty"`
	Banner    *bool       `json:"need_patient_banner,omitempty"` // nil: true, since then nobody shows none
	Style     string      `json:"smart_style_url,omitempty"`     // empty: that of the pages here
	Tenant    string      `json:"tenant,omitempty"`
}

// InContext is one further thing in the context of a launch (SMART App Launch
// 2.2, fhirContext).
type InContext struct {
	Reference  string      `json:"reference,omitempty"`
	Canonical  string      `json:"canonical,omitempty"`
	Identifier *Identifier `json:"identifier,omitempty"`
	Type       string      `json:"type,omitempty"`
	Role       string      `json:"role,omitempty"`
}

// Identifier is a FHIR Identifier, as far as it identifies.
type Identifier struct {
	System string `json:"system"`
	Value  string `json:"value"`
}

// errLaunch means that a launch value opens nothing, or not for this request.
var errLaunch = errors.New("the launch is unknown, over or of another app")

// check reports whether a launch is well-formed. Whether its user may see what
// it names is for Charts.
func (l Launch) check() error {
	if !strings.HasPrefix(l.Account, "user:") || len(l.Account) > maxTextBytes {
		return errors.New("user must be user:NAME")
	}
	if l.Patient != "" && !fhir.ValidID(l.Patient) || l.Encounter != "" && !fhir.ValidID(l.Encounter) {
		return errors.New("patient and encounter are logical ids")
	}
	if l.Encounter != "" && l.Patient == "" {
		return errors.New("an encounter is in context with its patient only")
	}
	if !plain(l.Intent) || !plain(l.Tenant) {
		return errors.New("intent and tenant are short texts without control characters")
	}
	if u, err := url.Parse(l.Style); l.Style != "" && (err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || !plain(l.Style)) {
		return errors.New("smart_style_url is an https URL")
	}
	if len(l.Also) > maxReferences {
		return fmt.Errorf("fhirContext has at most %d members", maxReferences)
	}
	for _, c := range l.Also {
		if err := c.check(); err != nil {
			return err
		}
	}
	return nil
}

// check holds the rules of the object: what it refers to by, roles, and that
// patients and encounters are launch parameters of their own.
func (c InContext) check() error {
	if c.Reference == "" && c.Canonical == "" && c.Identifier == nil {
		return errors.New("a member of fhirContext needs a reference, canonical or identifier")
	}
	typ := c.resourceType()
	if c.Reference != "" {
		_, id, _ := strings.Cut(c.Reference, "/")
		if !fhir.ValidID(id) || c.Type != "" && c.Type != typ {
			return errors.New("a reference in fhirContext is TYPE/ID")
		}
	}
	if s, err := smart.Parse("user/" + typ + ".r"); typ != "" && (err != nil || s.Type == smart.Every) {
		return errors.New("a type in fhirContext is that of a resource")
	}
	if u, err := url.Parse(c.Canonical); c.Canonical != "" && (err != nil || !u.IsAbs() || !plain(c.Canonical)) {
		return errors.New("a canonical in fhirContext is an absolute URL")
	}
	if i := c.Identifier; i != nil && (i.System == "" || i.Value == "" || !plain(i.System) || !plain(i.Value)) {
		return errors.New("an identifier in fhirContext has a system and a value")
	}
	if u, err := url.Parse(c.Role); c.Role != "" && c.Role != smart.Launch && (err != nil || !u.IsAbs() || !plain(c.Role)) {
		return errors.New("a role in fhirContext is launch or an absolute URI")
	}
	if (typ == "Patient" || typ == "Encounter") && (c.Role == "" || c.Role == smart.Launch) {
		return errors.New("a patient or encounter stands in fhirContext with a role of its own only")
	}
	return nil
}

// resourceType is the type of what is referred to, empty when nothing tells.
func (c InContext) resourceType() string {
	if c.Reference == "" {
		return c.Type
	}
	typ, _, _ := strings.Cut(c.Reference, "/")
	return typ
}

// plain reports whether a text is short, printable ASCII.
func plain(text string) bool {
	return len(text) <= maxTextBytes && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
}

// has reports whether the launch has what a launch/TYPE scope asks for, with the
// role when it names one; a member without a role has that of launch (SMART App
// Launch 2.2, fhirContext).
func (l *Launch) has(typ, role string) bool {
	return l != nil && slices.ContainsFunc(l.Also, func(c InContext) bool {
		return strings.ToLower(c.resourceType()) == typ && (role == "" || cmp.Or(c.Role, smart.Launch) == role)
	})
}

// offered leaves out the scopes whose context there is not: an encounter and
// further resources come with the launch of an EHR only.
func (l *Launch) offered(scopes []string) (out []string) {
	for _, scope := range scopes {
		typ, role, asks := smart.LaunchType(scope)
		if asks && !l.has(typ, role) || scope == smart.LaunchEncounter && (l == nil || l.Encounter == "") {
			continue
		}
		out = append(out, scope)
	}
	return out
}

// context is what stands in the token response beside the patient. Without an
// EHR around it an app shows itself whose record it is.
func (l *Launch) context(style, patient string) map[string]any {
	out := map[string]any{}
	if l == nil {
		if patient != "" {
			out["need_patient_banner"], out["smart_style_url"] = true, style
		}
		return out
	}
	out["need_patient_banner"], out["smart_style_url"] = l.Banner == nil || *l.Banner, style
	if l.Style != "" {
		out["smart_style_url"] = l.Style
	}
	if len(l.Also) > 0 {
		out["fhirContext"] = l.Also
	}
	for name, value := range map[string]string{"encounter": l.Encounter, "intent": l.Intent, "tenant": l.Tenant} {
		if value != "" {
			out[name] = value
		}
	}
	return out
}

// createLaunch keeps a launch for a client and returns its value.
func (s *store) createLaunch(ctx context.Context, app string, l Launch) (string, error) {
	text, err := json.Marshal(l)
	if err != nil {
		return "", fmt.Errorf("encoding a launch: %w", err)
	}
	secret, _, _ := draw(launchPrefix)
	return secret, s.putSecret(ctx, launches, secret, secretRow{Client: app}, LaunchLifetime, text)
}

// launched reads what a request was launched with, or returns nil for one
// without. The scope launch and the parameter come together or not at all. The
// value is consumed when the user has decided.
func (s *Server) launched(ctx context.Context, secret string, scopes []string, c client.Client) (*Launch, error) {
	if slices.Contains(scopes, smart.Launch) != (secret != "") {
		return nil, fosite.ErrInvalidRequest
	}
	if secret == "" {
		return nil, nil
	}
	row, _, text, err := s.store.openSecret(ctx, launches, secret)
	var l Launch
	switch {
	case errors.Is(err, fosite.ErrNotFound) || err == nil && row.Client != c.ID:
		return nil, fosite.ErrInvalidRequest.WithWrap(errLaunch)
	case err != nil:
		return nil, err
	case json.Unmarshal(text, &l) != nil:
		return nil, fosite.ErrInvalidRequest.WithWrap(errLaunch)
	case row.Used != 0:
		return nil, s.relaunched(ctx, l, c)
	}
	return &l, nil
}

// relaunched records that a launch value came again.
func (s *Server) relaunched(ctx context.Context, l Launch, c client.Client) error {
	e := event{subtype: "failure", reason: "launch-reuse", client: c.ID}
	e.claims.Account = l.Account
	return errors.Join(fosite.ErrInvalidRequest.WithWrap(errLaunch), s.record(ctx, e))
}

// useLaunch consumes a launch value, whatever was decided: of any number of
// requests, on any nodes, one goes on.
func (s *Server) useLaunch(ctx context.Context, secret string, a Asked) error {
	err := s.store.useSecret(ctx, launches, secret, errLaunch)
	switch {
	case errors.Is(err, errLaunch):
		return s.relaunched(ctx, *a.Launch, a.Client)
	case errors.Is(err, fosite.ErrNotFound): // its time passed while the user decided
		return fosite.ErrInvalidRequest.WithWrap(errLaunch)
	}
	return err
}

// fits refuses a decision that another user made than the one whom the launch is
// for, or for another patient. What was refused is recorded.
func (s *Server) fits(ctx context.Context, a Asked, d *Decision) error {
	switch {
	case d.Claims.Account != a.Launch.Account:
		return errors.Join(ErrDeclined, s.record(ctx, event{subtype: "failure", reason: "launch-of-another-user", claims: d.Claims, client: a.Client.ID}))
	case a.Launch.Patient != "" && d.Claims.Patient != a.Launch.Patient:
		return errors.New("a decision names another patient than the launch")
	}
	return nil
}
