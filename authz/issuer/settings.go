package issuer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"go.yaml.in/yaml/v3"

	"github.com/fieldseal/fieldseal/authz/keyset"
)

// Limits of the settings.
const (
	DefaultSkew = 30 * time.Second
	MaxSkew     = 2 * time.Minute
	maxFile     = 256 << 10
)

// Settings are one entry of the file.
type Settings struct {
	// Name stands in events, in the client of tokens and in the address of the
	// login; Display on the login page.
	Name    string `yaml:"name"`
	Display string `yaml:"display"`
	// URL is the issuer, exactly as in its tokens. Its discovery document says
	// where its keys are, unless KeysURL or KeysFile does.
	URL      string `yaml:"issuer"`
	KeysURL  string `yaml:"jwks_url"`
	KeysFile string `yaml:"jwks_file"`
	// CACert is a file of the authorities that vouch for it, when the system's
	// do not; Networks are addresses beside public ones at which it may be.
	CACert   string   `yaml:"ca_cert"`
	Networks []string `yaml:"networks"`

	Algorithms []string      `yaml:"algorithms"`
	Skew       time.Duration `yaml:"clock_skew"`
	// AMR and ACR say what the issuer's words mean (RFC 8176): only these count.
	AMR map[string][]string `yaml:"amr"`
	ACR map[string][]string `yaml:"acr"`

	Bearer *Bearer `yaml:"bearer"`
	Login  *Login  `yaml:"login"`

	algorithms []jose.SignatureAlgorithm
	inline     *jose.JSONWebKeySet
	networks   []netip.Prefix
	transport  *http.Transport
}

// Bearer says that access tokens of the issuer are accepted, and how they are
// read.
type Bearer struct {
	Audience string `yaml:"audience"` // empty: the FHIR base
	// Typ is the header typ that is demanded: at+jwt (RFC 9068 §2.1), or jwt for
	// issuers that do not mark access tokens; then id_tokens are told apart by
	// their audience and claims alone.
	Typ          string `yaml:"typ"`
	ScopeClaim   string `yaml:"scope_claim"`
	PatientClaim string `yaml:"patient_claim"`
	// UserClaim is the claim that names the FHIR resource of the user; it must be
	// one of the account's links. AccountUser takes the account's first link.
	UserClaim   string `yaml:"fhir_user_claim"`
	AccountUser bool   `yaml:"fhir_user_of_account"`
	// Purpose of use, for everybody; empty: that of the account, TREAT for services.
	Purpose string `yaml:"purpose"`
}

// Login says that people may log in at the issuer.
type Login struct {
	ClientID   string `yaml:"client_id"`
	SecretFile string `yaml:"client_secret_file"` // none: a public client
	// SecretInBody sends the secret in the form (client_secret_post) instead of
	// the header (client_secret_basic).
	SecretInBody bool     `yaml:"client_secret_post"`
	Scopes       []string `yaml:"scopes"`
	ACRValues    []string `yaml:"acr_values"` // asked for at every login

	Secret string `yaml:"-"`
}

// Load reads the file and what it names, relative to its folder. The error
// tells every problem and no secret.
func Load(path string) ([]Settings, error) {
	b, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the issuers: %w", err)
	}
	all, err := Parse(b, filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("issuers: %w", err)
	}
	return all, nil
}

// Parse reads the text of the file; folder is where relative names begin.
func Parse(text []byte, folder string) ([]Settings, error) {
	var file struct {
		Issuers []Settings `yaml:"issuers"`
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(file.Issuers) == 0 {
		return nil, errors.New("the file lists none")
	}
	var problems []error
	names, urls := map[string]bool{}, map[string]bool{}
	for at := range file.Issuers {
		s := &file.Issuers[at]
		if err := s.open(folder); err != nil {
			problems = append(problems, fmt.Errorf("issuer %d: %w", at+1, err))
		}
		if names[s.Name] || urls[s.URL] {
			problems = append(problems, fmt.Errorf("issuer %d: its name or URL stands twice", at+1))
		}
		names[s.Name], urls[s.URL] = true, true
	}
	return file.Issuers, errors.Join(problems...)
}

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

// open completes an entry, reads what it names and reports every problem.
func (s *Settings) open(folder string) error {
	var errs []error
	fault := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	fault(nameForm.MatchString(s.Name), "name: 1 to 32 of a-z, 0-9 and dashes")
	if s.Display == "" {
		s.Display = s.Name
	}
	fault(len(s.Display) <= 60 && !strings.ContainsFunc(s.Display, func(r rune) bool { return r < ' ' }), "display: at most 60 characters on one line")
	fault(secure(s.URL) && !strings.ContainsAny(s.URL, "?#"), "issuer: an https URL without query and fragment")
	fault(s.KeysURL == "" || secure(s.KeysURL), "jwks_url: an https URL")
	fault(s.KeysURL == "" || s.KeysFile == "", "jwks_url, jwks_file: give one of them")
	if s.Skew == 0 {
		s.Skew = DefaultSkew
	}
	fault(s.Skew > 0 && s.Skew <= MaxSkew, "clock_skew: at most %v", MaxSkew)
	fault(s.Bearer != nil || s.Login != nil, "give bearer, login or both: what the issuer is trusted for")
	errs = append(errs, s.openAlgorithms(), s.openWords(), s.openNetwork(folder), s.openKeys(folder), s.openBearer(), s.openLogin(folder))
	return errors.Join(errs...)
}

// secure reports whether a text is an https URL without a password.
func secure(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil
}

// every algorithm that may be allowed: a shared secret or none at all proves
// nothing about an issuer.
var every = []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.ES512, jose.PS256, jose.PS384, jose.PS512, jose.EdDSA}

func (s *Settings) openAlgorithms() error {
	if len(s.Algorithms) == 0 {
		s.Algorithms = []string{string(jose.RS256), string(jose.ES256)}
	}
	for _, name := range s.Algorithms {
		if !slices.Contains(every, jose.SignatureAlgorithm(name)) {
			return errors.New("algorithms: each is RS, ES or PS with 256, 384 or 512")
		}
		s.algorithms = append(s.algorithms, jose.SignatureAlgorithm(name))
	}
	return nil
}

// methods are the words of RFC 8176 §2 that a map may yield.
var methods = []string{"face", "fpt", "geo", "hwk", "iris", "kba", "mca", "mfa", "otp", "pin", "pop", "pwd", "rba", "retina", "sc", "sms", "swk", "tel", "user", "vbm", "wia"}

func (s *Settings) openWords() error {
	for _, m := range []map[string][]string{s.AMR, s.ACR} {
		for _, means := range m {
			for _, word := range means {
				if !slices.Contains(methods, word) {
					return fmt.Errorf("amr, acr: what a word means is of RFC 8176: %s", strings.Join(methods, ", "))
				}
			}
		}
	}
	return nil
}

// reachable is where the issuer may be.
func (s *Settings) reachable(a netip.Addr) bool {
	return keyset.Public(a) || slices.ContainsFunc(s.networks, func(p netip.Prefix) bool { return p.Contains(a) })
}

// purposes that a token may have; an emergency is none.
var purposes = []string{"TREAT", "ETREAT", "HPAYMT", "HOPERAT", "HRESCH", "HMARKT", "HSYSADMIN", "PATRQT"}

func (s *Settings) openBearer() error {
	b := s.Bearer
	if b == nil {
		return nil
	}
	for _, d := range []struct {
		member   *string
		standard string
	}{{&b.Typ, "at+jwt"}, {&b.ScopeClaim, "scope"}, {&b.PatientClaim, "patient"}} {
		if *d.member == "" {
			*d.member = d.standard
		}
	}
	var errs []error
	if b.Typ != "at+jwt" && b.Typ != "jwt" {
		errs = append(errs, errors.New("bearer.typ: at+jwt or jwt"))
	}
	if b.UserClaim != "" && b.AccountUser {
		errs = append(errs, errors.New("bearer.fhir_user_claim, fhir_user_of_account: give one of them"))
	} else if b.UserClaim == "" {
		b.UserClaim = "fhirUser"
	}
	if b.Purpose != "" && !slices.Contains(purposes, b.Purpose) {
		errs = append(errs, fmt.Errorf("bearer.purpose: one of %s", strings.Join(purposes, ", ")))
	}
	if s.Login != nil && b.Audience == s.Login.ClientID && b.Audience != "" {
		errs = append(errs, errors.New("bearer.audience: it is the client_id of the login, so that every id_token would be a bearer token"))
	}
	return errors.Join(errs...)
}

func (s *Settings) openLogin(folder string) error {
	l := s.Login
	if l == nil {
		return nil
	}
	if len(l.Scopes) == 0 {
		l.Scopes = []string{"openid"}
	}
	var errs []error
	if l.ClientID == "" || !slices.Contains(l.Scopes, "openid") {
		errs = append(errs, errors.New("login: it needs a client_id, and openid among its scopes"))
	}
	if l.SecretFile != "" {
		secret, err := readSecret(beside(folder, l.SecretFile))
		if err != nil {
			errs = append(errs, fmt.Errorf("login.client_secret_file: %w", err))
		}
		l.Secret = secret
	}
	return errors.Join(errs...)
}
