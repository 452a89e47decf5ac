package vault

import (
	"errors"
	"net"
	"net/url"
	"strings"
	"time"
)

// Defaults of Options.
const (
	DefaultMount        = "transit"
	DefaultAppRoleMount = "approle"
	// DefaultTimeout bounds one call; the ring counts a slower one as an
	// outage anyway.
	DefaultTimeout = 5 * time.Second
)

// Options configure Open. Address and Key are required, and either TokenFile
// or RoleID with SecretIDFile.
type Options struct {
	// Address is the https URL of Vault or OpenBao; http on loopback only.
	Address string
	// Namespace of Vault Enterprise or OpenBao; empty for the root.
	Namespace string
	// Mount is where the transit engine is mounted.
	Mount string
	// Key is the name of the transit key, of an AES-GCM or ChaCha20-Poly1305
	// type that is not derived and not exportable.
	Key string
	// CACert is a PEM file of the authorities that are trusted; empty means
	// those of the system.
	CACert string
	// TokenFile holds a token that an agent keeps fresh. It is read again
	// when the token ends.
	TokenFile string
	// RoleID and SecretIDFile log in with AppRole at AppRoleMount.
	RoleID       string
	SecretIDFile string
	AppRoleMount string
	// Timeout bounds one call.
	Timeout time.Duration
	// OnTrouble hears of renewals that failed; nil hears nothing. Texts hold
	// no secret.
	OnTrouble func(error)
}

// Validate reports every problem at once. No text repeats a value.
func (o Options) Validate() error {
	var errs []error
	add := func(bad bool, text string) {
		if bad {
			errs = append(errs, errors.New("vault: "+text))
		}
	}
	u, err := url.Parse(o.Address)
	add(err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http", "the address is no http or https URL")
	if err == nil && u.Host != "" {
		add(u.Scheme == "http" && !loopback(u.Hostname()), "the address must use https unless it is loopback")
		add(u.User != nil || u.RawQuery != "" || u.Fragment != "", "the address has more than host and path")
	}
	add(o.Key == "", "no key is named")
	add(strings.ContainsAny(o.Key, "/?#%. ") || strings.ContainsAny(o.Mount+o.AppRoleMount, "?#%. "), "a key or mount has characters that names do not have")
	add((o.TokenFile == "") == (o.RoleID == ""), "exactly one of token file and role id is needed")
	add(o.RoleID != "" && o.SecretIDFile == "", "a role id needs a file with its secret id")
	add(o.Timeout < 0, "the timeout is negative")
	return errors.Join(errs...)
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (o *Options) setDefaults() {
	if o.Mount == "" {
		o.Mount = DefaultMount
	}
	if o.AppRoleMount == "" {
		o.AppRoleMount = DefaultAppRoleMount
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.OnTrouble == nil {
		o.OnTrouble = func(error) {}
	}
	o.Mount, o.AppRoleMount = strings.Trim(o.Mount, "/"), strings.Trim(o.AppRoleMount, "/")
}
