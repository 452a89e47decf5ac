package oauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/fieldseal/fieldseal/authz/client"
)

// Limits of key sets that are fetched.
const (
	maxKeySetBytes = 64 << 10
	keySetTimeout  = 5 * time.Second
	keySetLife     = 5 * time.Minute // without Cache-Control, and at most
	keySetRetry    = 30 * time.Second
	maxKeySets     = 1000
)

var errKeySet = errors.New("the client's key set cannot be fetched")

// keySets finds the keys of clients. Sets behind a URL are fetched over https
// from public addresses only, without redirects, proxies or credentials, and
// kept no longer than their Cache-Control says.
type keySets struct {
	http *http.Client
	now  func() time.Time
	mu   sync.Mutex
	sets map[string]*keySet
}

// keySet is a fetched set; mu makes concurrent requests fetch once.
type keySet struct {
	mu      sync.Mutex
	set     jose.JSONWebKeySet
	fetched time.Time // also when that failed
	until   time.Time
}

func newKeySets(o Options) *keySets {
	reachable := o.Reachable
	if reachable == nil {
		reachable = public
	}
	t := &http.Transport{}
	if o.Transport != nil {
		t = o.Transport.Clone()
	}
	// The check is made on the address that is dialled, after the name was
	// resolved: a name that resolves to something else later gets no further.
	dialer := &net.Dialer{Timeout: keySetTimeout, Control: func(_, address string, _ syscall.RawConn) error {
		a, err := netip.ParseAddrPort(address)
		if err != nil || !reachable(a.Addr().Unmap()) {
			return errKeySet
		}
		return nil
	}}
	t.DialContext, t.Proxy, t.DisableKeepAlives = dialer.DialContext, nil, true
	t.MaxResponseHeaderBytes = 16 << 10
	return &keySets{now: o.Now, sets: map[string]*keySet{}, http: &http.Client{Transport: t, Timeout: keySetTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// public reports whether an address is one of the Internet (RFC 6890): no
// loopback, private, link-local or multicast one, and none of the ranges that
// lead there.
func public(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !a.IsPrivate() && !special(a)
}

var specialRanges = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("100::/64"),
	netip.MustParsePrefix("2001::/23"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("fec0::/10"),
}

func special(a netip.Addr) bool {
	for _, p := range specialRanges {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// of returns the client's key set. A kid that a fetched set does not hold has
// it fetched again, but not more often than keySetRetry: a client may rotate
// its keys, and nobody may make the server ask for them all the time.
func (k *keySets) of(ctx context.Context, c client.Client, kid string) (jose.JSONWebKeySet, error) {
	if c.KeysURL == "" {
		return parseKeys(c.Keys)
	}
	e := k.entry(c.KeysURL)
	e.mu.Lock()
	defer e.mu.Unlock()
	now := k.now()
	fresh, recent := now.Before(e.until), now.Sub(e.fetched) < keySetRetry
	if fresh && (recent || len(e.set.Key(kid)) > 0) {
		return e.set, nil
	}
	if recent && e.until.IsZero() {
		return jose.JSONWebKeySet{}, errKeySet // it failed a moment ago
	}
	set, life, err := k.fetch(ctx, c.KeysURL)
	e.fetched = now
	if err != nil {
		e.set, e.until = jose.JSONWebKeySet{}, time.Time{}
		return jose.JSONWebKeySet{}, err
	}
	e.set, e.until = set, now.Add(life)
	return set, nil
}

func (k *keySets) entry(url string) *keySet {
	k.mu.Lock()
	defer k.mu.Unlock()
	e := k.sets[url]
	if e == nil {
		if len(k.sets) >= maxKeySets {
			clear(k.sets)
		}
		e = &keySet{}
		k.sets[url] = e
	}
	return e
}

func (k *keySets) fetch(ctx context.Context, url string) (none jose.JSONWebKeySet, life time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil || req.URL.Scheme != "https" {
		return none, 0, errKeySet
	}
	req.Header.Set("Accept", "application/json")
	resp, err := k.http.Do(req)
	if err != nil {
		return none, 0, errKeySet
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxKeySetBytes+1))
	if err != nil || resp.StatusCode != http.StatusOK || len(body) > maxKeySetBytes {
		return none, 0, errKeySet
	}
	set, err := parseKeys(body)
	if err != nil {
		return none, 0, fmt.Errorf("%w: %w", errKeySet, err)
	}
	return set, cacheLife(resp.Header.Get("Cache-Control")), nil
}

// cacheLife reads Cache-Control (RFC 9111 §5.2): what must not be kept lives
// for the one request.
func cacheLife(header string) time.Duration {
	for directive := range strings.SplitSeq(header, ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
		switch name {
		case "no-store", "no-cache":
			return 0
		case "max-age":
			seconds, err := strconv.Atoi(strings.Trim(value, `"`))
			if err != nil || seconds < 0 {
				return 0
			}
			return min(time.Duration(min(seconds, 3600))*time.Second, keySetLife)
		}
	}
	return keySetLife
}
