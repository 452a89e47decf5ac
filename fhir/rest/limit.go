package rest

import (
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/internal/limit"
)

// admitted answers 429 when the subject's client asks more often than it may
// (RFC 6585 §4). It is asked before anything of the request is looked at, so
// that the answer tells nothing about data.
func (h *Handler) admitted(c *gin.Context, s authz.Subject, peer string) bool {
	client := s.Client()
	if client == "" {
		client = s.ID()
	}
	wait, ok := h.limiter.Admit(client, time.Now())
	if ok {
		return true
	}
	h.Gatekeeper.RecordPreAuth(peer, "throttled")
	c.Header("Retry-After", limit.Seconds(wait))
	h.outcome(c, http.StatusTooManyRequests, "throttled", "this client asks more often than it may; ask again after the seconds of Retry-After")
	return false
}
