package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Validate reports everything that keeps a server from starting with these
// options; the error is a Problems. It reads no files: what a file must
// contain is checked by the one that opens it.
func (o Options) Validate() error {
	c := &check{}
	o.checkWords(c)
	o.checkStorage(c)
	o.checkNetwork(c)
	o.checkTelemetry(c)
	o.checkLimits(c)
	o.checkClients(c)
	o.checkDemo(c)
	o.checkKMS(c)
	if o.Profile == Production {
		o.checkProduction(c)
	}
	return c.problems.orNil()
}

type check struct{ problems Problems }

// that adds the problem when the condition does not hold.
func (c *check) that(ok bool, format string, args ...any) {
	if !ok {
		c.problems = append(c.problems, fmt.Sprintf(format, args...))
	}
}

func (c *check) oneOf(name, value string, words ...string) {
	c.that(slices.Contains(words, value), "%s: want %s", name, strings.Join(words, " or "))
}

func (o Options) checkWords(c *check) {
	c.oneOf("profile", o.Profile, Development, Production)
	c.oneOf("kms", o.KMS, KMSFile, KMSVault)
	c.oneOf("suite", o.Suite, SuiteStandard, SuiteFIPS)
	c.oneOf("index-profile", o.IndexProfile, IndexStandard, IndexStrict)
	c.oneOf("conditional-delete", o.ConditionalDelete, DeleteSingle, DeleteMultiple)
	c.oneOf("reference-integrity", o.ReferenceIntegrity, IntegrityOff, IntegrityWrite, IntegrityDelete, IntegrityBoth)
	c.oneOf("default-confidentiality", o.DefaultConfidentiality, "U", "L", "M", "N", "R", "V")
	for _, p := range o.ConsentOptIn {
		c.oneOf("consent-opt-in", p, "TREAT", "ETREAT", "HPAYMT", "HOPERAT", "HRESCH", "HMARKT", "HSYSADMIN")
	}
	c.that(o.CareWindow > 0, "care-window: must be positive")
	c.oneOf("log-level", o.LogLevel, "debug", "info", "warn", "error")
	c.oneOf("log-format", o.LogFormat, "text", "json")
	c.that(o.Data != "" || o.Demo, "data: name a data folder, or try the server with --demo")
}

func (o Options) checkNetwork(c *check) {
	c.that((o.TLSCert == "") == (o.TLSKey == ""), "tls-cert, tls-key: give both or neither")
	c.that(o.TLSCert == "" || !o.TLSTerminatedByProxy, "tls-terminated-by-proxy: contradicts tls-cert; leave one away")
	c.listener("listen", o.Listen, o.protected())
	if o.Metrics != "" {
		host, ok := splitHost(o.Metrics)
		c.that(ok, "metrics: want host:port, for example %s", DefaultMetrics)
		c.that(!ok || o.TLSTerminatedByProxy || isLoopback(host), "metrics: served without TLS, so on loopback only; a scraper elsewhere needs a proxy and --tls-terminated-by-proxy")
	}
	for _, p := range o.TrustedProxies {
		_, errPrefix := netip.ParsePrefix(p)
		_, errAddr := netip.ParseAddr(p)
		c.that(errPrefix == nil || errAddr == nil, "trusted-proxies: each must be an address or a CIDR range such as 10.0.0.0/8")
	}
	o.checkBaseURL(c)
}

// protected reports whether somebody terminates TLS before the listener.
func (o Options) protected() bool { return o.TLSCert != "" || o.TLSTerminatedByProxy }

// listener refuses an address that others can reach without TLS
// (interface.md: a listener that is not loopback needs TLS).
func (c *check) listener(name, addr string, protected bool) {
	host, ok := splitHost(addr)
	if !ok {
		c.that(false, "%s: want host:port, for example %s", name, DefaultListen)
		return
	}
	c.that(protected || isLoopback(host),
		"%s: an address that is not loopback needs TLS: give --tls-cert and --tls-key, or state with --tls-terminated-by-proxy that a proxy in front terminates it", name)
}

// splitHost cuts host:port, where the port is a number.
func splitHost(addr string) (host string, ok bool) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return host, err == nil
}

// isLoopback is false for a host name other than localhost: what it resolves
// to may change after this check.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// isWildcard reports whether the address means every interface, which is no
// address that a client could use.
func isWildcard(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.IsUnspecified()
}

func (o Options) checkBaseURL(c *check) {
	if o.BaseURL == "" {
		host, ok := splitHost(o.Listen)
		c.that(!ok || !isWildcard(host), "base-url: needed when listen names no single host")
		c.that(!o.TLSTerminatedByProxy, "base-url: needed behind a proxy, as the proxy's address is unknown here")
		return
	}
	u, err := url.Parse(o.BaseURL)
	ok := err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil &&
		u.RawQuery == "" && u.Fragment == "" && !strings.HasSuffix(u.Path, "/")
	c.that(ok, "base-url: want http(s)://host[:port]/path without user, query, fragment or a slash at the end")
	if ok {
		c.that(u.Scheme == "https" || !o.protected(), "base-url: must be https when TLS is in use")
		c.that(u.Scheme == "https" || isLoopback(u.Hostname()), "base-url: http is for loopback only")
	}
}

func (o Options) checkTelemetry(c *check) {
	if o.Debug != "" {
		host, ok := splitHost(o.Debug)
		c.that(ok && isLoopback(host), "debug: want a loopback host:port; memory profiles may hold patient data")
	}
	if o.OTLPEndpoint != "" {
		host, ok := splitHost(o.OTLPEndpoint)
		c.that(ok && host != "", "otlp-endpoint: want host:port without a scheme")
		c.that(!ok || !o.OTLPInsecure || isLoopback(host), "otlp-insecure: only for a collector on loopback")
	}
}

func (o Options) checkLimits(c *check) {
	for _, l := range []struct {
		name  string
		value int64
	}{
		{"max-body", o.MaxBody}, {"max-resource", o.MaxResource}, {"max-bundle-entries", int64(o.MaxBundleEntries)},
		{"request-timeout", int64(o.RequestTimeout)}, {"header-timeout", int64(o.HeaderTimeout)},
		{"idle-timeout", int64(o.IdleTimeout)}, {"drain-timeout", int64(o.DrainTimeout)},
		{"kek-ttl", int64(o.KEKTTL)}, {"owner-key-ttl", int64(o.OwnerKeyTTL)},
		{"idempotency-ttl", int64(o.IdempotencyTTL)},
	} {
		c.that(l.value > 0, "%s: must be greater than zero", l.name)
	}
	c.that(o.KMSGrace >= 0, "kms-grace: must not be negative")
	c.that(o.MaxResource <= o.MaxBody, "max-resource: cannot exceed max-body")
	c.that(o.IdempotencyTTL <= MaxIdempotencyTTL, "idempotency-ttl: at most 720h")
	c.that(o.OwnerKeyTTL <= MaxOwnerKeyTTL, "owner-key-ttl: at most %s, the time after which erasure is promised", MaxOwnerKeyTTL)
}

func (o Options) checkDemo(c *check) {
	if !o.Demo {
		return
	}
	host, ok := splitHost(o.Listen)
	c.that(!ok || isLoopback(host), "demo: only on a loopback listener, as its tokens are printed")
	c.that(!o.TLSTerminatedByProxy, "demo: not behind a proxy, which would open it to others")
	c.that(o.Profile != Production, "demo: refused in profile production")
}

// checkKMS wants exactly what the chosen provider takes. What the values must
// look like is checked by the provider.
func (o Options) checkKMS(c *check) {
	if o.KMS != KMSVault {
		c.that(o.Vault.Address == "" && o.Vault.Key == "" && o.Vault.TokenFile == "" && o.Vault.RoleID == "", "kms: vault-… settings need --kms vault")
		return
	}
	c.that(o.KEKFile == "", "kek-file: contradicts --kms vault; leave it away")
	c.that(o.Vault.Address != "", "vault-address: --kms vault needs it")
	c.that(o.Vault.Key != "", "vault-key: --kms vault needs it")
	c.that((o.Vault.TokenFile == "") != (o.Vault.RoleID == ""), "vault-token-file, vault-role-id: --kms vault needs exactly one of them")
	c.that((o.Vault.RoleID == "") == (o.Vault.SecretIDFile == ""), "vault-role-id, vault-secret-id-file: give both or neither")
}

func (o Options) checkProduction(c *check) {
	if o.KMS == KMSFile {
		c.that(o.KEKFile != "", "kek-file: profile production needs a key of its own; without one a development key is made beside the data")
		c.that(o.KEKSealedByPlatform, "kms: profile production wants the root key in a vault (--kms vault), or the statement --kek-sealed-by-platform that the platform seals the KEK file")
	}
	c.that(o.KEKFile == "" || !inside(o.Data, o.KEKFile), "kek-file: must lie outside the data folder, or a backup of the data carries its key")
	c.that(o.Witness != "", "witness: profile production needs an audit witness outside the data folder")
	c.that(o.Witness == "" || !inside(o.Data, o.Witness), "witness: must lie outside the data folder, or who alters the trail alters its witness")
	c.that(o.Debug == "", "debug: refused in profile production")
}

// inside reports whether path lies in dir or below it.
func inside(dir, path string) bool {
	absDir, err1 := filepath.Abs(dir)
	absPath, err2 := filepath.Abs(path)
	if err1 != nil || err2 != nil {
		return true
	}
	rel, err := filepath.Rel(absDir, absPath)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}
