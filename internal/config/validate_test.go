package config_test

import (
	"maps"
	"net"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/internal/config"
)

func valid(t *testing.T) config.Options {
	t.Helper()
	o, err := config.New().Load([]string{"FIELDSEAL_DATA=/srv/data"})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func production(t *testing.T) config.Options {
	o := valid(t)
	o.Profile, o.KEKFile, o.Witness = config.Production, "/etc/fieldseal/kek", "/mnt/witness/log"
	o.KEKSealedByPlatform = true
	return o
}

func onVault(o *config.Options) {
	o.KMS, o.KEKFile = config.KMSVault, ""
	o.Vault = config.Vault{Address: "https://vault.example:8200", Key: "fieldseal", RoleID: "r", SecretIDFile: "/s"}
}

func TestValidateAccepts(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*config.Options){
		"defaults":       func(*config.Options) {},
		"demo, no data":  func(o *config.Options) { o.Demo, o.Data = true, "" },
		"port 0":         func(o *config.Options) { o.Listen = "127.0.0.1:0" },
		"IPv6 loopback":  func(o *config.Options) { o.Listen = "[::1]:8080" },
		"localhost":      func(o *config.Options) { o.Listen = "localhost:8080" },
		"TLS":            func(o *config.Options) { o.Listen, o.TLSCert, o.TLSKey = "192.0.2.1:443", "c", "k" },
		"TLS everywhere": func(o *config.Options) { o.Listen, o.TLSCert, o.TLSKey, o.BaseURL = ":443", "c", "k", "https://h/fhir" },
		"proxy": func(o *config.Options) {
			o.Listen, o.TLSTerminatedByProxy, o.BaseURL, o.TrustedProxies = ":8080", true, "https://h/fhir", []string{"10.0.0.0/8", "::1"}
		},
		"no metrics":            func(o *config.Options) { o.Metrics = "" },
		"production":            func(o *config.Options) { *o = production(t) },
		"production on a vault": func(o *config.Options) { *o = production(t); onVault(o) },
		"collector":             func(o *config.Options) { o.OTLPEndpoint = "otel.example:4317" },
		"local collector":       func(o *config.Options) { o.OTLPEndpoint, o.OTLPInsecure = "127.0.0.1:4317", true },
		"origins": func(o *config.Options) {
			o.CORSOrigins = []string{"https://app.example", "https://app.example:8443", "http://localhost:3000", "http://[::1]:1"}
		},
		"limits":           func(o *config.Options) { o.RateLimit, o.RateLimits = "0.5", []string{"engine=500/1000", "urn:x=none"} },
		"debug on loopack": func(o *config.Options) { o.Debug = "127.0.0.1:6060" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := valid(t)
			change(&o)
			if err := o.Validate(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestValidateRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*config.Options)
		want   string
	}{
		"no data":                  {func(o *config.Options) { o.Data = "" }, "data:"},
		"profile":                  {func(o *config.Options) { o.Profile = "prod" }, "profile: want development or production"},
		"suite":                    {func(o *config.Options) { o.Suite = "" }, "suite:"},
		"engine that nobody knows": {func(o *config.Options) { o.Store = "postgres://h" }, "store: want embedded or"},
		"log level":                {func(o *config.Options) { o.LogLevel = "trace" }, "log-level:"},
		"log format":               {func(o *config.Options) { o.LogFormat = "xml" }, "log-format:"},
		"half of TLS":              {func(o *config.Options) { o.TLSCert = "c" }, "tls-cert, tls-key: give both"},
		"TLS and proxy":            {func(o *config.Options) { o.TLSCert, o.TLSKey, o.TLSTerminatedByProxy = "c", "k", true }, "contradicts"},
		"open listener":            {func(o *config.Options) { o.Listen = "192.0.2.1:80" }, "give --tls-cert and --tls-key"},
		"every interface":          {func(o *config.Options) { o.Listen, o.BaseURL = ":80", "http://localhost/fhir" }, "listen: an address that is not loopback"},
		"name that may move":       {func(o *config.Options) { o.Listen = "myhost:80" }, "listen: an address that is not loopback"},
		"mapped address":           {func(o *config.Options) { o.Listen = "[::ffff:192.0.2.1]:80" }, "listen: an address that is not loopback"},
		"no port":                  {func(o *config.Options) { o.Listen = "127.0.0.1" }, "listen: want host:port"},
		"open metrics":             {func(o *config.Options) { o.Metrics = "0.0.0.0:9464" }, "metrics: served without TLS"},
		"open metrics beside TLS": {func(o *config.Options) {
			o.Listen, o.TLSCert, o.TLSKey, o.Metrics = "192.0.2.1:443", "c", "k", "192.0.2.1:9464"
		}, "metrics: served without TLS"},
		"metrics without port":         {func(o *config.Options) { o.Metrics = "localhost" }, "metrics: want host:port"},
		"proxy range":                  {func(o *config.Options) { o.TrustedProxies = []string{"10/8"} }, "trusted-proxies:"},
		"wildcard without base":        {func(o *config.Options) { o.Listen, o.TLSCert, o.TLSKey = ":443", "c", "k" }, "base-url: needed"},
		"proxy without base":           {func(o *config.Options) { o.TLSTerminatedByProxy = true }, "base-url: needed behind a proxy"},
		"base with a query":            {func(o *config.Options) { o.BaseURL = "https://h/fhir?x=1" }, "base-url: want"},
		"base with a slash":            {func(o *config.Options) { o.BaseURL = "https://h/fhir/" }, "base-url: want"},
		"base without scheme":          {func(o *config.Options) { o.BaseURL = "h/fhir" }, "base-url: want"},
		"http base with TLS":           {func(o *config.Options) { o.BaseURL, o.TLSCert, o.TLSKey = "http://localhost/fhir", "c", "k" }, "base-url: must be https"},
		"http base elsewhere":          {func(o *config.Options) { o.BaseURL = "http://h/fhir" }, "base-url: http is for loopback"},
		"debug elsewhere":              {func(o *config.Options) { o.Debug = ":6060" }, "debug: want a loopback"},
		"collector URL":                {func(o *config.Options) { o.OTLPEndpoint = "https://h" }, "otlp-endpoint:"},
		"clear spans over the network": {func(o *config.Options) { o.OTLPEndpoint, o.OTLPInsecure = "h:4317", true }, "otlp-insecure:"},
		"no body limit":                {func(o *config.Options) { o.MaxBody = 0 }, "max-body:"},
		"no deadline":                  {func(o *config.Options) { o.RequestTimeout = 0 }, "request-timeout:"},
		"resource above body":          {func(o *config.Options) { o.MaxBody = 1 << 20 }, "max-resource: cannot exceed"},
		"origin null":                  {func(o *config.Options) { o.CORSOrigins = []string{"null"} }, "cors-origins:"},
		"any origin":                   {func(o *config.Options) { o.CORSOrigins = []string{"*"} }, "cors-origins:"},
		"any subdomain":                {func(o *config.Options) { o.CORSOrigins = []string{"https://*.example"} }, "cors-origins:"},
		"origin with a path":           {func(o *config.Options) { o.CORSOrigins = []string{"https://app.example/"} }, "cors-origins:"},
		"origin with a usual port":     {func(o *config.Options) { o.CORSOrigins = []string{"https://app.example:443"} }, "cors-origins:"},
		"origin in clear":              {func(o *config.Options) { o.CORSOrigins = []string{"http://app.example"} }, "cors-origins:"},
		"origin in capitals":           {func(o *config.Options) { o.CORSOrigins = []string{"https://App.example"} }, "cors-origins:"},
		"origin of a file":             {func(o *config.Options) { o.CORSOrigins = []string{"file://x"} }, "cors-origins:"},
		"origin with a user":           {func(o *config.Options) { o.CORSOrigins = []string{"https://u@app.example"} }, "cors-origins:"},
		"networks by a word":           {func(o *config.Options) { o.OAuthNetworkLimit = "many" }, "oauth-network-limit:"},
		"access tokens that last":      {func(o *config.Options) { o.AccessLifetime = config.MaxAccessLifetime + 1 }, "access-lifetime:"},
		"consent for ever":             {func(o *config.Options) { o.ConsentLifetime = config.MaxConsentLifetime + 1 }, "consent-lifetime:"},
		"consent for a moment":         {func(o *config.Options) { o.ConsentLifetime = 1 }, "consent-lifetime:"},
		"open registration":            {func(o *config.Options) { o.DynamicRegistration = "open" }, "dynamic-registration:"},
		"refresh tokens for ever":      {func(o *config.Options) { o.RefreshLifetime = config.MaxRefreshLifetime + 1 }, "refresh-lifetime:"},
		"keys that last":               {func(o *config.Options) { o.IdempotencyTTL = config.MaxIdempotencyTTL + 1 }, "idempotency-ttl:"},
		"limit of zero":                {func(o *config.Options) { o.RateLimit = "0" }, "rate-limit:"},
		"limit of no number":           {func(o *config.Options) { o.RateLimit = "NaN" }, "rate-limit:"},
		"burst of zero":                {func(o *config.Options) { o.RateLimit = "5/0" }, "rate-limit:"},
		"limit of nobody":              {func(o *config.Options) { o.RateLimits = []string{"=5"} }, "rate-limits:"},
		"two limits of one":            {func(o *config.Options) { o.RateLimits = []string{"a=5", "a=6"} }, "rate-limits: a client is named twice"},
		"keys outlive erasure":         {func(o *config.Options) { o.OwnerKeyTTL *= 2 }, "owner-key-ttl: at most"},
		"negative grace":               {func(o *config.Options) { o.KMSGrace = -1 }, "kms-grace:"},
		"demo on the network":          {func(o *config.Options) { o.Demo, o.Listen, o.TLSCert, o.TLSKey = true, "192.0.2.1:443", "c", "k" }, "demo: only on a loopback"},
		"demo behind a proxy":          {func(o *config.Options) { o.Demo, o.TLSTerminatedByProxy = true, true }, "demo: not behind a proxy"},
		"production with demo":         {func(o *config.Options) { *o = production(t); o.Demo = true }, "demo: refused in profile production"},
		"production with a made key":   {func(o *config.Options) { *o = production(t); o.KEKFile = "" }, "kek-file: profile production needs"},
		"production with a bare file":  {func(o *config.Options) { *o = production(t); o.KEKSealedByPlatform = false }, "kms: profile production wants"},
		"vault and a file":             {func(o *config.Options) { onVault(o); o.KEKFile = "/k" }, "kek-file: contradicts"},
		"vault without a key":          {func(o *config.Options) { onVault(o); o.Vault.Key = "" }, "vault-key:"},
		"vault with two logins":        {func(o *config.Options) { onVault(o); o.Vault.TokenFile = "/t" }, "exactly one"},
		"vault without a secret id":    {func(o *config.Options) { onVault(o); o.Vault.SecretIDFile = "" }, "give both or neither"},
		"vault settings for a file":    {func(o *config.Options) { onVault(o); o.KMS = config.KMSFile }, "need --kms vault"},
		"unknown KMS":                  {func(o *config.Options) { o.KMS = "aws" }, "kms: want file or vault"},
		"production key in the data":   {func(o *config.Options) { *o = production(t); o.KEKFile = "/srv/data/x/kek" }, "kek-file: must lie outside"},
		"production without witness":   {func(o *config.Options) { *o = production(t); o.Witness = "" }, "witness: profile production needs"},
		"production witness in data":   {func(o *config.Options) { *o = production(t); o.Witness = "/srv/data/../data/w" }, "witness: must lie outside"},
		"production with debug":        {func(o *config.Options) { *o = production(t); o.Debug = "127.0.0.1:6060" }, "debug: refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := valid(t)
			tt.change(&o)
			if err := o.Validate(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestZeroOptionsReportEverythingAtOnce(t *testing.T) {
	t.Parallel()
	problems, ok := config.Options{}.Validate().(config.Problems)
	if !ok || len(problems) < 15 {
		t.Fatalf("%d problems: %v", len(problems), problems)
	}
}

func TestDerivedLimits(t *testing.T) {
	t.Parallel()
	o := valid(t)
	o.RateLimit, o.RateLimits = "2.5", []string{"engine=500/1000", "batch=none", "slow=0.1"}
	others, own := o.Limits()
	want := map[string]config.Limit{"engine": {Rate: 500, Burst: 1000}, "batch": {}, "slow": {Rate: 0.1, Burst: 1}}
	if others != (config.Limit{Rate: 2.5, Burst: 2}) || !maps.Equal(own, want) {
		t.Errorf("got %v %v", others, own)
	}
}

func TestDerivedSettings(t *testing.T) {
	t.Parallel()
	o := valid(t)
	if got := o.Base(nil); got != "http://127.0.0.1:8080/fhir" {
		t.Error(got)
	}
	o.Listen = "127.0.0.1:0"
	if got := o.Base(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4711}); got != "http://127.0.0.1:4711/fhir" {
		t.Error(got)
	}
	o.TLSCert, o.TLSKey = "c", "k"
	if got := o.Base(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4711}); got != "https://127.0.0.1:4711/fhir" {
		t.Error(got)
	}
	if got := o.KeystoreDir(); got != "/srv/data/keystore" {
		t.Error(got)
	}
	if path, create := o.KEKPath(); path != "/srv/data/kek" || !create {
		t.Error(path, create)
	}
	o.KEKFile = "/k"
	if path, create := o.KEKPath(); path != "/k" || create {
		t.Error("a named key must never be created: ", path, create)
	}
	o = config.Options{Profile: config.Production, Data: "/srv/data"}
	if _, create := o.KEKPath(); create {
		t.Error("production would create a key")
	}
	o = config.Options{Profile: config.Development, Store: "mongodb://h"}
	if _, create := o.KEKPath(); create {
		t.Error("each node would make a root key of its own")
	}
}
