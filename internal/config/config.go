// Package config reads the settings of the server: flags, FIELDSEAL_…
// environment variables and one YAML file, which all use the same names
// (--base-url, FIELDSEAL_BASE_URL, base-url:). A flag wins over the
// environment, the environment over the file, the file over the default.
//
// Start with New, hand Flags to the command, then call Load; Options.Validate
// says whether the server may start with the result. Both report every problem
// at once, and a name that no setting has is a problem: a misspelt
// "tls-cert" must not leave a server without TLS.
//
// Security notes: a problem names the setting and never repeats its value,
// which may be a secret (a database URL). The rules of Validate are listed in
// validate.go. Setting names are kept compatible.
package config

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

// Profiles.
const (
	Development = "development"
	Production  = "production"
)

// Cipher suites (docs/format/envelope.md: suite 3 and suite 4).
const (
	SuiteStandard = "standard"
	SuiteFIPS     = "fips"
)

// Index profiles (docs/format/index.md).
const (
	IndexStandard = "standard"
	IndexStrict   = "strict"
)

// What a conditional delete may delete (R4 conditional-delete-status).
const (
	DeleteSingle   = "single"
	DeleteMultiple = "multiple"
)

// KMS providers.
const (
	KMSFile  = "file"
	KMSVault = "vault"
)

// Which references are guarded.
const (
	IntegrityOff    = "off"
	IntegrityWrite  = "write"
	IntegrityDelete = "delete"
	IntegrityBoth   = "both"
)

// StoreEmbedded is the engine inside the binary. The other one is named by its
// mongodb:// URI.
const StoreEmbedded = "embedded"

// EnvPrefix starts the name of every environment variable that is read.
const EnvPrefix = "FIELDSEAL_"

// Vault is where the root key is when the KMS is a vault, and how to log in.
type Vault struct {
	Address, Namespace, Mount, Key, CACert string
	TokenFile, RoleID, SecretIDFile        string
}

// Options are the settings of a server. See settings.go for names, defaults
// and meaning.
type Options struct {
	Config  string
	Profile string
	Demo    bool

	Data     string
	Store    string // StoreEmbedded or a URI, which may hold a password
	Keystore string // a folder, or a URI
	// StoreURIFile and KeystoreURIFile hold the URIs instead; Load reads them
	// into Store and Keystore.
	StoreURIFile    string
	KeystoreURIFile string
	Node            string
	KEKFile         string
	KMS             string
	Vault           Vault
	// KEKSealedByPlatform states that the platform keeps the KEK file safe.
	KEKSealedByPlatform bool
	Suite               string
	Policy              string
	Witness             string

	IndexProfile string

	ConditionalDelete  string
	ReferenceIntegrity string

	// BreachedPasswords is a file of passwords that nobody may choose, empty for
	// none.
	BreachedPasswords string
	// Labels is the file of labelling rules; DefaultConfidentiality is what
	// counts for resources without a label.
	Labels                 string
	DefaultConfidentiality string
	ConsentOptIn           []string
	CareWindow             time.Duration

	Listen               string
	BaseURL              string
	TLSCert              string
	TLSKey               string
	TLSTerminatedByProxy bool
	TrustedProxies       []string
	CORSOrigins          []string

	// Issuers is the file of external issuers whose tokens and logins are
	// trusted.
	Issuers string

	RateLimit  string
	RateLimits []string
	// OAuthNetworkLimit is for all who call the authorization server from one
	// network.
	OAuthNetworkLimit string
	AccessLifetime    time.Duration
	RefreshLifetime   time.Duration
	// ConsentLifetime is how long it is remembered what a user allowed an app.
	ConsentLifetime time.Duration
	// DynamicRegistration says whether clients may register themselves.
	DynamicRegistration string

	IdempotencyTTL time.Duration

	MaxBody          int64 // bytes
	MaxResource      int64 // bytes
	MaxBundleEntries int
	RequestTimeout   time.Duration
	HeaderTimeout    time.Duration
	IdleTimeout      time.Duration
	DrainTimeout     time.Duration

	KEKTTL      time.Duration
	OwnerKeyTTL time.Duration
	KMSGrace    time.Duration

	StoreMinFree int64 // bytes
	AuditMinFree int64 // bytes

	Metrics      string
	Debug        string
	OTLPEndpoint string
	OTLPInsecure bool
	LogLevel     string
	LogFormat    string
}

// Problems lists what is wrong with a configuration, one sentence each.
type Problems []string

func (p Problems) Error() string {
	if len(p) == 1 {
		return "configuration: " + p[0]
	}
	return fmt.Sprintf("configuration has %d problems:\n  - %s", len(p), strings.Join(p, "\n  - "))
}

// orNil keeps an empty list from becoming a non-nil error.
func (p Problems) orNil() error {
	if len(p) == 0 {
		return nil
	}
	return p
}

// Settings are the settings before they are read.
type Settings struct {
	options Options
	flags   *pflag.FlagSet
}

// New returns the settings with their defaults.
func New() *Settings {
	s := &Settings{flags: pflag.NewFlagSet("settings", pflag.ContinueOnError)}
	s.flags.SortFlags = false
	register(s.flags, &s.options)
	return s
}

// Flags are the settings as command-line flags, for pflag's AddFlagSet.
func (s *Settings) Flags() *pflag.FlagSet { return s.flags }

// Load reads the file and the environment (in the form of os.Environ) into
// what the flags left open. It must be called once, after the flags were
// parsed. The error is a Problems with all of them; the Options then hold what
// could be read.
func (s *Settings) Load(environ []string) (Options, error) {
	var problems Problems
	fromEnv := envSource(environ)
	path := s.options.Config
	if v, ok := fromEnv.values["config"]; ok && !s.flags.Changed("config") {
		path = fmt.Sprint(v)
	}
	fromFile, problem := fileSource(path)
	if problem != "" {
		problems = append(problems, problem)
	}
	given := s.given()
	for _, src := range []source{fromFile, fromEnv} {
		problems = append(problems, s.apply(src, given)...)
	}
	problems = append(problems, s.options.readURIs()...)
	return s.options, problems.orNil()
}

// LoadAndValidate is Load and Validate in one: the problems of both.
func (s *Settings) LoadAndValidate(environ []string) (Options, error) {
	var problems Problems
	o, err := s.Load(environ)
	if p, ok := err.(Problems); ok {
		problems = append(problems, p...)
	}
	if p, ok := o.Validate().(Problems); ok {
		problems = append(problems, p...)
	}
	return o, problems.orNil()
}

// given are the names that stand on the command line.
func (s *Settings) given() map[string]bool {
	names := map[string]bool{}
	s.flags.VisitAll(func(f *pflag.Flag) {
		if f.Changed {
			names[f.Name] = true
		}
	})
	return names
}

// source is one place that settings come from; display turns a setting's name
// into the form that stands there.
type source struct {
	values  map[string]any
	display func(name string) string
}

func envSource(environ []string) source {
	k := koanf.New(".")
	provider := env.Provider(".", env.Opt{
		Prefix:      EnvPrefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			name = strings.TrimPrefix(name, EnvPrefix)
			return strings.ReplaceAll(strings.ToLower(name), "_", "-"), value
		},
	})
	// The provider reads memory and cannot fail.
	_ = k.Load(provider, nil)
	return source{k.All(), func(name string) string {
		return EnvPrefix + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
	}}
}

func fileSource(path string) (source, string) {
	src := source{display: func(name string) string { return "file: " + name }}
	if path == "" {
		return src, ""
	}
	k := koanf.New(".")
	switch err := k.Load(file.Provider(path), yaml.Parser()); {
	case os.IsNotExist(err):
		return src, "config: the file does not exist"
	case os.IsPermission(err):
		return src, "config: the file may not be read by this user"
	case err != nil:
		return src, "config: the file is not a YAML mapping of setting names to values"
	}
	src.values = k.All()
	if _, ok := src.values["config"]; ok {
		delete(src.values, "config")
		return src, "file: config: a configuration file cannot name another one"
	}
	return src, ""
}

// apply sets what the source says, except where a flag stands.
func (s *Settings) apply(src source, given map[string]bool) (problems Problems) {
	names := make([]string, 0, len(src.values))
	for name := range src.values {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		f := s.flags.Lookup(name)
		if f == nil {
			problems = append(problems, src.display(name)+": unknown setting; see serve --help for the names")
			continue
		}
		if given[name] {
			continue
		}
		text, ok := text(src.values[name])
		if !ok || set(f, text) != nil {
			problems = append(problems, fmt.Sprintf("%s: want %s", src.display(name), wants(f)))
		}
	}
	return problems
}

// set replaces the value, also that of a list which an earlier source filled.
func set(f *pflag.Flag, text string) error {
	if list, ok := f.Value.(pflag.SliceValue); ok {
		if err := list.Replace(nil); err != nil {
			return err
		}
		if text == "" {
			return nil
		}
	}
	return f.Value.Set(text)
}

// text is a YAML or environment value as a flag would spell it.
func text(v any) (string, bool) {
	switch v := v.(type) {
	case nil, map[string]any:
		return "", false
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = fmt.Sprint(v[i])
		}
		return strings.Join(parts, ","), true
	}
	return fmt.Sprint(v), true
}

// wants describes the values of a flag's type.
func wants(f *pflag.Flag) string {
	switch f.Value.Type() {
	case "bool":
		return "true or false"
	case "duration":
		return "a duration such as 30s or 15m"
	case "size":
		return "a size such as 512KiB, 32MiB or 2GiB"
	case "int":
		return "a number"
	case "stringSlice":
		return "a list"
	}
	return "a text"
}
