package config

import (
	"time"

	"github.com/spf13/pflag"

	"github.com/fieldseal/fieldseal/repository/mongostore"
)

// Defaults. A limit states its reason.
const (
	DefaultListen  = "127.0.0.1:8080"
	DefaultMetrics = "127.0.0.1:9464"

	// DefaultMaxBody holds a transaction of one patient's whole record.
	DefaultMaxBody = 32 << 20
	// DefaultMaxResource keeps a sealed version inside a MongoDB document (16 MiB).
	DefaultMaxResource = 8 << 20
	// DefaultMaxBundleEntries bounds the work of one commit.
	DefaultMaxBundleEntries = 10_000

	// DefaultIdempotencyTTL outlives the queues of integration engines over a
	// night; MaxIdempotencyTTL bounds what is kept for it.
	DefaultIdempotencyTTL = 24 * time.Hour
	MaxIdempotencyTTL     = 30 * 24 * time.Hour

	// DefaultRateLimit is none: an integration engine may use the whole server
	// until its operator says how it is shared.
	DefaultRateLimit = "none"

	// DefaultOAuthNetworkLimit is above what a hospital behind one address asks
	// for, and below what keeps a server busy with refusals alone.
	DefaultOAuthNetworkLimit = "1000/2000"
	// DefaultAccessLifetime and MaxAccessLifetime are those of SMART App Launch;
	// DefaultRefreshLifetime is three months.
	DefaultAccessLifetime  = 15 * time.Minute
	MaxAccessLifetime      = time.Hour
	DefaultRefreshLifetime = 92 * 24 * time.Hour
	MaxRefreshLifetime     = 366 * 24 * time.Hour

	// DefaultConsentLifetime is a month; MaxConsentLifetime a year.
	DefaultConsentLifetime = 30 * 24 * time.Hour
	MaxConsentLifetime     = 366 * 24 * time.Hour

	// RegistrationOff is the default: whom people are asked about is known to
	// the operators. RegistrationApproval lets clients register themselves and
	// wait for an officer.
	RegistrationOff      = "off"
	RegistrationApproval = "approval"

	DefaultRequestTimeout = 30 * time.Second
	// DefaultHeaderTimeout ends a client that trickles its headers.
	DefaultHeaderTimeout = 5 * time.Second
	DefaultIdleTimeout   = 2 * time.Minute
	// DefaultDrainTimeout stays below the 30 s that container hosts wait
	// between SIGTERM and SIGKILL.
	DefaultDrainTimeout = 20 * time.Second

	// DefaultKEKTTL is how long an unwrapped tenant key stays in memory.
	DefaultKEKTTL = 15 * time.Minute
	// DefaultOwnerKeyTTL and MaxOwnerKeyTTL are the promise of erasure: after
	// this time no node holds an erased patient's key.
	DefaultOwnerKeyTTL = 60 * time.Second
	MaxOwnerKeyTTL     = 60 * time.Second
	// DefaultKMSGrace is how long cached keys serve while the KMS is down.
	DefaultKMSGrace = 15 * time.Minute

	// DefaultCareWindow: letters are written and findings arrive in the month
	// after a stay.
	DefaultCareWindow = 30 * 24 * time.Hour

	// DefaultStoreMinFree is kept free on the data disk, so that the engine
	// never meets a full one in the middle of a commit.
	DefaultStoreMinFree = 512 << 20
	// DefaultAuditMinFree is kept free for the trail: without room for the
	// record of an access there is no access.
	DefaultAuditMinFree = 256 << 20
)

// register binds every setting to its flag. This list is the whole
// configuration: the environment and the file know no other names.
func register(f *pflag.FlagSet, o *Options) {
	f.StringVar(&o.Config, "config", "", "YAML `file` with settings by these same names")
	f.StringVar(&o.Profile, "profile", Development, "development or production")
	f.BoolVar(&o.Demo, "demo", false, "load synthetic patients and create demo users (development on loopback only)")
	registerStorage(f, o)
	registerNetwork(f, o)
	registerRules(f, o)
	registerLimits(f, o)
	registerTelemetry(f, o)
}

func registerStorage(f *pflag.FlagSet, o *Options) {
	f.StringVar(&o.Data, "data", "", "data `folder`")
	f.StringVar(&o.Store, "store", StoreEmbedded, "storage engine: embedded, or the `mongodb://` URI of a replica set or sharded cluster for any number of nodes (database "+mongostore.DefaultDatabase+" unless it names one)")
	f.StringVar(&o.StoreURIFile, "store-uri-file", "", "`file` with the URI of --store, mode 0600; a command line is seen by every user of a machine")
	f.StringVar(&o.Keystore, "keystore", "", "keystore `folder`, backed up apart from the data (default DATA/keystore); with MongoDB the URI of a database of its own (default: beside the store, its name with "+keystoreSuffix+")")
	f.StringVar(&o.KeystoreURIFile, "keystore-uri-file", "", "`file` with the URI of --keystore, mode 0600")
	f.StringVar(&o.Node, "node", "", "`name` of this node among those on one database, 1 to 32 of a-z and 0-9, kept for its life (default: from the host's name; "+soleNode+" with the embedded engine)")
	f.StringVar(&o.KEKFile, "kek-file", "", "`file` of the local key encryption key, mode 0600 (default DATA/kek, development only)")
	f.BoolVar(&o.KEKSealedByPlatform, "kek-sealed-by-platform", false, "state that the platform seals the KEK file (a secret of the orchestrator backed by a KMS, a TPM); profile production needs this or a vault")
	f.StringVar(&o.KMS, "kms", KMSFile, "where the root key is: file or vault (HashiCorp Vault or OpenBao, transit engine)")
	registerVault(f, &o.Vault)
	f.StringVar(&o.Suite, "suite", SuiteStandard, "cipher suite: standard or fips")
	f.StringVar(&o.IndexProfile, "index-profile", IndexStandard, "what searches are indexed: standard (everything, across patients) or strict (clinical content inside one patient only); a change rebuilds the index")
	f.StringVar(&o.Policy, "policy", "", "access policy `file` of the first start, which becomes version 1 (default: the built-in roles)")
	f.StringVar(&o.Witness, "witness", "", "`file` outside the data folder to which audit checkpoints are witnessed")
	f.DurationVar(&o.KEKTTL, "kek-ttl", DefaultKEKTTL, "how long an unwrapped tenant key stays in memory")
	f.DurationVar(&o.OwnerKeyTTL, "owner-key-ttl", DefaultOwnerKeyTTL, "how long a patient's key stays in memory, at most 60s")
	f.DurationVar(&o.KMSGrace, "kms-grace", DefaultKMSGrace, "how long cached keys serve while the KMS is unreachable")
	size(f, &o.StoreMinFree, "store-min-free", DefaultStoreMinFree, "refuse writes when the data disk has less `size` free")
	size(f, &o.AuditMinFree, "audit-min-free", DefaultAuditMinFree, "refuse requests when the trail's disk has less `size` free")
}

func registerVault(f *pflag.FlagSet, v *Vault) {
	f.StringVar(&v.Address, "vault-address", "", "https `URL` of the vault")
	f.StringVar(&v.Namespace, "vault-namespace", "", "`namespace` in the vault, empty for the root")
	f.StringVar(&v.Mount, "vault-mount", "transit", "`path` where the transit engine is mounted")
	f.StringVar(&v.Key, "vault-key", "", "`name` of the transit key")
	f.StringVar(&v.CACert, "vault-ca-cert", "", "PEM `file` of the authorities that vouch for the vault (default: the system's)")
	f.StringVar(&v.TokenFile, "vault-token-file", "", "`file` with a token that an agent keeps fresh, mode 0600")
	f.StringVar(&v.RoleID, "vault-role-id", "", "AppRole `id` to log in with, instead of a token")
	f.StringVar(&v.SecretIDFile, "vault-secret-id-file", "", "`file` with the secret id of the role, mode 0600")
}

func registerNetwork(f *pflag.FlagSet, o *Options) {
	f.StringVar(&o.Listen, "listen", DefaultListen, "`host:port` to serve on; not loopback needs TLS")
	f.StringVar(&o.BaseURL, "base-url", "", "FHIR base `URL` that clients use (default http[s]://LISTEN/fhir)")
	f.StringVar(&o.TLSCert, "tls-cert", "", "PEM `file` with the certificate chain")
	f.StringVar(&o.TLSKey, "tls-key", "", "PEM `file` with the private key")
	f.BoolVar(&o.TLSTerminatedByProxy, "tls-terminated-by-proxy", false, "state that a proxy in front terminates TLS and nobody else can reach the listener")
	f.StringSliceVar(&o.TrustedProxies, "trusted-proxies", nil, "addresses or `CIDR` ranges whose X-Forwarded-For is believed")
	f.StringVar(&o.Issuers, "issuers", "", "YAML `file` with the external OpenID providers whose access tokens and logins are trusted (docs/issuers.md), empty for none")
	f.StringSliceVar(&o.CORSOrigins, "cors-origins", nil, "web `origins` whose scripts may call, such as https://app.example")
}

func registerRules(f *pflag.FlagSet, o *Options) {
	f.StringVar(&o.ConditionalDelete, "conditional-delete", DeleteSingle, "what a conditional delete with several matches does: single (refused) or multiple (all deleted)")
	f.StringVar(&o.BreachedPasswords, "breached-passwords", "", "`file` of passwords that nobody may choose: one, or its SHA-1 in hex, on each line; empty for none")
	f.StringVar(&o.Labels, "labels", "", "`file` with rules that label what is written (docs/policy.md), empty for none")
	f.StringVar(&o.DefaultConfidentiality, "default-confidentiality", "N", "confidentiality of resources without a label: U, L, M, N, R or V")
	f.StringSliceVar(&o.ConsentOptIn, "consent-opt-in", []string{"HRESCH", "HMARKT"}, "purposes of use for which a patient's consent must say yes; for others none is needed")
	f.DurationVar(&o.CareWindow, "care-window", DefaultCareWindow, "how long after its end an encounter, and how long around it an appointment, relates a practitioner to the patient")
	f.StringVar(&o.ReferenceIntegrity, "reference-integrity", IntegrityDelete, "which references are guarded: off, write (what is referred to must exist), delete (what is referred to cannot be deleted) or both")
}

func registerLimits(f *pflag.FlagSet, o *Options) {
	size(f, &o.MaxBody, "max-body", DefaultMaxBody, "largest request body, also after decompression (`size`)")
	size(f, &o.MaxResource, "max-resource", DefaultMaxResource, "largest single resource (`size`)")
	f.IntVar(&o.MaxBundleEntries, "max-bundle-entries", DefaultMaxBundleEntries, "most entries of one batch or transaction")
	f.StringVar(&o.RateLimit, "rate-limit", DefaultRateLimit, "requests per second of one client, `RATE/BURST`; none for no limit")
	f.StringSliceVar(&o.RateLimits, "rate-limits", nil, "limits of single clients, `CLIENT=RATE/BURST`")
	f.StringVar(&o.OAuthNetworkLimit, "oauth-network-limit", DefaultOAuthNetworkLimit, "requests per second to the authorization server from one network (/24, /56), `RATE/BURST`; none for no limit")
	f.DurationVar(&o.AccessLifetime, "access-lifetime", DefaultAccessLifetime, "how long access tokens of apps live, at most 1h")
	f.DurationVar(&o.RefreshLifetime, "refresh-lifetime", DefaultRefreshLifetime, "how long an unused refresh token of offline_access lives, at most 8784h")
	f.DurationVar(&o.ConsentLifetime, "consent-lifetime", DefaultConsentLifetime, "how long it is remembered what a user allowed an app, 1h to 8784h; 0 asks each time")
	f.StringVar(&o.DynamicRegistration, "dynamic-registration", RegistrationOff, "clients that register themselves (RFC 7591): off, or approval, where they wait for an officer")
	f.DurationVar(&o.IdempotencyTTL, "idempotency-ttl", DefaultIdempotencyTTL, "how long a repeated POST is known by its X-Idempotency-Key, at most 720h")
	f.DurationVar(&o.RequestTimeout, "request-timeout", DefaultRequestTimeout, "deadline of one request")
	f.DurationVar(&o.HeaderTimeout, "header-timeout", DefaultHeaderTimeout, "deadline for the request headers")
	f.DurationVar(&o.IdleTimeout, "idle-timeout", DefaultIdleTimeout, "how long an idle connection is kept")
	f.DurationVar(&o.DrainTimeout, "drain-timeout", DefaultDrainTimeout, "how long SIGTERM waits for requests in flight")
}

func registerTelemetry(f *pflag.FlagSet, o *Options) {
	f.StringVar(&o.Metrics, "metrics", DefaultMetrics, "`host:port` of the Prometheus endpoint, empty for none")
	f.StringVar(&o.Debug, "debug", "", "loopback `host:port` of the profiling endpoint, empty for none (development only)")
	f.StringVar(&o.OTLPEndpoint, "otlp-endpoint", "", "`host:port` of an OpenTelemetry collector (gRPC), empty for none")
	f.BoolVar(&o.OTLPInsecure, "otlp-insecure", false, "speak to the collector without TLS")
	f.StringVar(&o.LogLevel, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&o.LogFormat, "log-format", "text", "text or json")
}
