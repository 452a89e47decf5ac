package config

import (
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Limit is how often a client may ask: Rate requests per second, Burst at
// once. The zero Limit does not limit.
type Limit struct {
	Rate  float64
	Burst int
}

// maxRate is far above what one server answers.
const maxRate = 1_000_000

// parseLimit reads RATE or RATE/BURST, or none. Without a burst it is one
// second's worth.
func parseLimit(text string) (l Limit, ok bool) {
	if text == "none" {
		return Limit{}, true
	}
	number, burst, given := strings.Cut(text, "/")
	rate, err := strconv.ParseFloat(number, 64)
	if err != nil || !(rate > 0 && rate <= maxRate) { // NaN fails too
		return Limit{}, false
	}
	l = Limit{Rate: rate, Burst: max(1, int(rate))}
	if given {
		l.Burst, err = strconv.Atoi(burst)
	}
	return l, err == nil && l.Burst >= 1 && l.Burst <= maxRate
}

// parseClientLimit reads CLIENT=LIMIT.
func parseClientLimit(text string) (client string, l Limit, ok bool) {
	client, limit, _ := strings.Cut(text, "=")
	l, ok = parseLimit(limit)
	return client, l, ok && client != ""
}

// Limits are the limit of clients that have none of their own, and those that
// have, by client id.
func (o Options) Limits() (others Limit, own map[string]Limit) {
	others, _ = parseLimit(o.RateLimit)
	own = map[string]Limit{}
	for _, text := range o.RateLimits {
		if client, l, ok := parseClientLimit(text); ok {
			own[client] = l
		}
	}
	return others, own
}

// NetworkLimit is that of one network at the authorization server.
func (o Options) NetworkLimit() Limit {
	l, _ := parseLimit(o.OAuthNetworkLimit)
	return l
}

func (o Options) checkClients(c *check) {
	_, fine := parseLimit(o.OAuthNetworkLimit)
	c.that(fine, "oauth-network-limit: want none, RATE or RATE/BURST, for example 1000/2000")
	c.that(o.AccessLifetime >= time.Minute && o.AccessLifetime <= MaxAccessLifetime, "access-lifetime: between 1m and 1h")
	c.that(o.RefreshLifetime >= time.Hour && o.RefreshLifetime <= MaxRefreshLifetime, "refresh-lifetime: between 1h and 8784h")
	c.that(o.ConsentLifetime == 0 || o.ConsentLifetime >= time.Hour && o.ConsentLifetime <= MaxConsentLifetime, "consent-lifetime: 0, or between 1h and 8784h")
	c.that(o.DynamicRegistration == RegistrationOff || o.DynamicRegistration == RegistrationApproval, "dynamic-registration: off or approval")
	_, ok := parseLimit(o.RateLimit)
	c.that(ok, "rate-limit: want none, RATE or RATE/BURST, for example 50/200")
	seen := map[string]bool{}
	for _, text := range o.RateLimits {
		client, _, ok := parseClientLimit(text)
		c.that(ok, "rate-limits: each must be CLIENT=RATE, CLIENT=RATE/BURST or CLIENT=none, for example engine=500/1000")
		c.that(!seen[client], "rate-limits: a client is named twice")
		seen[client] = true
	}
	for _, origin := range o.CORSOrigins {
		c.that(isOrigin(origin), "cors-origins: each must be an origin as browsers send it, such as https://app.example: no path, no wildcard; http is for loopback only")
	}
}

// isOrigin reports whether the text is what a browser sends in Origin for a
// page that may be trusted: scheme, host in lower case and port (RFC 6454
// §6.2), where nobody on the way could have changed the page.
func isOrigin(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || text != u.Scheme+"://"+u.Host || text != strings.ToLower(text) || strings.Contains(text, "*") {
		return false
	}
	standard := map[string]string{"https": "443", "http": "80"}[u.Scheme]
	if standard == "" || u.Port() == standard || strings.HasSuffix(u.Host, ":") {
		return false
	}
	return u.Scheme == "https" || isLoopback(u.Hostname())
}
