package rest

import (
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"
)

// What scripts of registered origins may send and read beyond what browsers
// always allow (Fetch §3.2).
const (
	corsRequestHeaders = "Accept, Authorization, Content-Type, If-Match, If-Modified-Since, If-None-Exist, If-None-Match, Prefer, X-Break-Glass, X-Idempotency-Key, X-Purpose-Of-Use, X-Request-Id"
	corsExposedHeaders = "Content-Location, ETag, Idempotent-Replayed, Last-Modified, Location, Retry-After, WWW-Authenticate, X-Break-Glass, X-Correlation-Id, X-Request-Id"
	corsMaxAge         = "600" // seconds; how long a withdrawn origin may go on asking
)

// cors lets scripts of registered origins read answers, and everybody's those
// that are open to everybody. Credentials of the browser are never allowed: a
// token comes in the Authorization header or not at all. "null", which any
// sandboxed page can be, is registered by nobody (abuse 22).
func (h *Handler) cors(c *gin.Context) {
	header := c.Writer.Header()
	open := h.open[c.Request.URL.Path]
	if !open && (len(h.Origins) > 0 || h.Allows != nil) {
		header.Add("Vary", "Origin")
	}
	origin := c.GetHeader("Origin")
	switch {
	case origin == "" && !open, len(c.Request.Header.Values("Origin")) > 1:
		return
	case open:
		header.Set("Access-Control-Allow-Origin", "*")
	case origin != "null" && (slices.Contains(h.Origins, origin) || h.Allows != nil && h.Allows(c.Request, origin)):
		header.Set("Access-Control-Allow-Origin", origin)
	default:
		return
	}
	header.Set("Access-Control-Expose-Headers", corsExposedHeaders)
}

// options answers OPTIONS: the methods of the target (RFC 9110 §9.3.7) and, to
// whom cors allows it, a preflight. It tells nothing that the
// CapabilityStatement does not.
func (h *Handler) options(c *gin.Context) {
	header := c.Writer.Header()
	if header.Get("Access-Control-Allow-Origin") != "" && c.GetHeader("Access-Control-Request-Method") != "" {
		header.Set("Access-Control-Allow-Methods", header.Get("Allow"))
		header.Set("Access-Control-Allow-Headers", corsRequestHeaders)
		header.Set("Access-Control-Max-Age", corsMaxAge)
	}
	header.Set("Cache-Control", "no-store")
	c.Status(http.StatusNoContent)
	c.Writer.WriteHeaderNow()
}
