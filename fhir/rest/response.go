package rest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/interaction"
	"github.com/fieldseal/fieldseal/fhir/model"
)

const (
	fhirJSON   = "application/fhir+json; charset=utf-8"
	retryAfter = "5" // seconds; long enough for a KMS or disk to recover
)

// answer writes a released answer.
func (h *Handler) answer(c *gin.Context, f format, a *interaction.Answer) {
	h.troubled(c, a.Troubles()...)
	header := c.Writer.Header()
	if tag := a.ETag(); tag != "" {
		header.Set("ETag", tag)
	}
	if t := a.LastModified(); !t.IsZero() {
		header.Set("Last-Modified", t.UTC().Format(http.TimeFormat))
	}
	if l := a.Location(); l != "" {
		header.Set("Location", h.Service.Base+"/"+l)
	}
	if a.Replay() {
		header.Set("Idempotent-Replayed", "true")
	}
	header.Set("Cache-Control", "no-store")
	if a.Body() == nil {
		c.Status(a.Status())
		c.Writer.WriteHeaderNow()
		return
	}
	h.write(c, f, a.Status(), a.Body())
}

func (h *Handler) write(c *gin.Context, f format, status int, body []byte) {
	header := c.Writer.Header()
	header.Set("Content-Type", cmp.Or(f.media, fhirJSON))
	if f.pretty {
		var b bytes.Buffer
		if json.Indent(&b, body, "", "  ") == nil {
			body = b.Bytes()
		}
	}
	header.Add("Vary", "Accept, Accept-Charset, Accept-Encoding")
	if f.coding != "" && len(body) >= gzipFrom {
		header.Set("Content-Encoding", f.coding)
		buf := compress(f.coding, body)
		defer buffers.Put(buf)
		body = buf.Bytes()
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	h.boundWrite(c, len(body))
	c.Writer.WriteHeader(status)
	if c.Request.Method != http.MethodHead {
		_, _ = c.Writer.Write(body) // the client went away: nobody is left to tell
	} else {
		c.Writer.WriteHeaderNow()
	}
}

// slowestRead is the pace, in bytes per second, below which a client is taken
// for one that does not read.
const slowestRead = 64 << 10

// boundWrite bounds the time that an answer may take to leave, so that a client
// that does not read holds neither memory nor a connection (abuse 20). The next
// request on the connection lifts it.
func (h *Handler) boundWrite(c *gin.Context, size int) {
	pace := time.Duration(size/slowestRead) * time.Second
	_ = http.NewResponseController(c.Writer).SetWriteDeadline(time.Now().Add(max(h.Timeout, time.Second) + pace))
}

// failed maps a failure to its status and OperationOutcome.
func (h *Handler) failed(c *gin.Context, err error) {
	f := interaction.AsFailure(err)
	if f.Kind == interaction.Unavailable {
		c.Header("Retry-After", retryAfter)
	}
	if f.BeyondScopes() {
		c.Header("WWW-Authenticate", `Bearer realm="fhir", error="insufficient_scope"`)
	}
	if f.Kind.Status() >= http.StatusInternalServerError {
		h.troubled(c, f)
	}
	h.issues(c, f.Kind.Status(), f.Issues)
}

// troubled counts and logs the server's own trouble: that of a request, or that
// of entries of a Bundle, which is answered with 200. A line has the first cause
// and nothing of the request.
func (h *Handler) troubled(c *gin.Context, failures ...*interaction.Failure) {
	for _, f := range failures {
		h.meter.failed(c.Request.Context(), f.Kind.Status())
	}
	if h.Log == nil || len(failures) == 0 {
		return
	}
	f := failures[0]
	cause := f.Unwrap()
	if cause == nil {
		cause = f
	}
	h.Log.LogAttrs(c.Request.Context(), slog.LevelError, "request failed", slog.String("request_id", c.GetString(requestID)),
		slog.Int("status", f.Kind.Status()), slog.Int("count", len(failures)), slog.String("error", cause.Error()))
}

func (h *Handler) outcome(c *gin.Context, status int, code, text string) {
	h.issues(c, status, fhir.Issues{{Severity: "error", Code: code, Diagnostics: text}})
}

func (h *Handler) issues(c *gin.Context, status int, is fhir.Issues) {
	c.Header("Cache-Control", "no-store")
	h.write(c, format{}, status, model.OperationOutcome(is))
	c.Abort()
}

// refuseTarget answers a request that must not reach the router.
func (h *Handler) refuseTarget(w http.ResponseWriter, reason string) {
	status, header := http.StatusBadRequest, w.Header()
	if reason == "method" {
		status = http.StatusMethodNotAllowed
		header.Set("Allow", allMethods())
	}
	header.Set("X-Request-Id", newRequestID())
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Type", fhirJSON)
	header.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(model.OperationOutcome(fhir.Issues{{Severity: "error", Code: "invalid", Diagnostics: targetTexts[reason]}}))
}
