package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/gin-gonic/gin"
	"github.com/klauspost/compress/gzip"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/interaction"
	"github.com/fieldseal/fieldseal/fhir/model"
)

const (
	fhirJSON   = "application/fhir+json; charset=utf-8"
	retryAfter = "5"     // seconds; long enough for a KMS or disk to recover
	gzipFrom   = 1 << 10 // below, compression costs more than it saves
)

// format is what the client wants the answer to look like.
type format struct{ pretty, gzip bool }

// negotiate reads Accept, _format and _pretty, or answers 406 (R4
// http.html#parameters).
func (h *Handler) negotiate(c *gin.Context) (format, bool) {
	f := format{gzip: acceptsGzip(c.GetHeader("Accept-Encoding"))}
	accept := c.GetHeader("Accept")
	if raw := c.Request.URL.RawQuery; strings.Contains(raw, "_format") || strings.Contains(raw, "_pretty") {
		if v := c.Query("_format"); v != "" {
			accept = strings.ReplaceAll(v, " ", "+") // an unescaped + in a URL
		}
		f.pretty = c.Query("_pretty") == "true"
	}
	if !acceptsJSON(accept) {
		h.outcome(c, http.StatusNotAcceptable, "not-supported", "this server answers application/fhir+json")
		return f, false
	}
	return f, true
}

func acceptsJSON(accept string) bool {
	if accept == "" {
		return true
	}
	for _, part := range strings.Split(accept, ",") {
		media, params, _ := strings.Cut(strings.ToLower(strings.TrimSpace(part)), ";")
		switch strings.TrimSpace(media) {
		case "*/*", "application/*", "application/fhir+json", "application/json", "json", "text/json", "application/json+fhir":
			if q := strings.ReplaceAll(params, " ", ""); q != "q=0" && q != "q=0.0" {
				return true
			}
		}
	}
	return false
}

func acceptsGzip(header string) bool {
	for _, part := range strings.Split(header, ",") {
		coding, q, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.EqualFold(coding, "gzip") && strings.ReplaceAll(q, " ", "") != "q=0" {
			return true
		}
	}
	return false
}

var errPrefer = errors.New("unknown preference")

// prefer reads Prefer: return (R4 http.html#ops) and handling (R4
// search.html#errors). A Bundle's entries echo their
// resources only when asked to.
func prefer(header string, call *interaction.Call, bundle bool) error {
	if bundle {
		call.Return = interaction.Minimal
	}
	for _, p := range strings.FieldsFunc(header, func(r rune) bool { return r == ',' || r == ';' }) {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if strings.EqualFold(name, "handling") {
			call.Lenient = strings.EqualFold(strings.Trim(value, `"`), "lenient")
			if !call.Lenient && !strings.EqualFold(strings.Trim(value, `"`), "strict") {
				return errPrefer
			}
			continue
		}
		if !strings.EqualFold(name, "return") {
			continue
		}
		switch strings.ToLower(strings.Trim(value, `"`)) {
		case "minimal":
			call.Return = interaction.Minimal
		case "representation":
			call.Return = interaction.Representation
		case "operationoutcome":
			call.Return = interaction.Outcome
		default:
			return errPrefer
		}
	}
	return nil
}

// answer writes a released answer.
func (h *Handler) answer(c *gin.Context, f format, a *interaction.Answer) {
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
	header.Set("Content-Type", fhirJSON)
	if f.pretty {
		var b bytes.Buffer
		if json.Indent(&b, body, "", "  ") == nil {
			body = b.Bytes()
		}
	}
	if f.gzip && len(body) >= gzipFrom {
		header.Set("Content-Encoding", "gzip")
		header.Add("Vary", "Accept-Encoding")
		buf := compress(body)
		defer buffers.Put(buf)
		body = buf.Bytes()
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	c.Writer.WriteHeader(status)
	if c.Request.Method != http.MethodHead {
		_, _ = c.Writer.Write(body) // the client went away: nobody is left to tell
	} else {
		c.Writer.WriteHeaderNow()
	}
}

var (
	buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}
	zippers = sync.Pool{New: func() any { z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed); return z }}
)

func compress(body []byte) *bytes.Buffer {
	buf := buffers.Get().(*bytes.Buffer)
	buf.Reset()
	z := zippers.Get().(*gzip.Writer)
	defer zippers.Put(z)
	z.Reset(buf)
	_, _ = z.Write(body) // a bytes.Buffer takes everything
	_ = z.Close()
	return buf
}

// failed maps a failure to its status and OperationOutcome. Only the server's
// own trouble is logged, with the cause and without the request.
func (h *Handler) failed(c *gin.Context, err error) {
	f := interaction.AsFailure(err)
	if f.Kind == interaction.Unavailable {
		c.Header("Retry-After", retryAfter)
	}
	if h.Log != nil && f.Kind.Status() >= http.StatusInternalServerError {
		cause := f.Unwrap()
		if cause == nil {
			cause = f
		}
		h.Log.LogAttrs(c.Request.Context(), slog.LevelError, "request failed",
			slog.String("request_id", c.GetString(requestID)), slog.Int("status", f.Kind.Status()), slog.String("error", cause.Error()))
	}
	h.issues(c, f.Kind.Status(), f.Issues)
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
	status := http.StatusBadRequest
	if reason == "method" {
		status = http.StatusMethodNotAllowed
	}
	w.Header().Set("Content-Type", fhirJSON)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(model.OperationOutcome(fhir.Issues{{Severity: "error", Code: "invalid", Diagnostics: targetTexts[reason]}}))
}
