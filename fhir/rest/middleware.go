package rest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/fieldseal/fieldseal/fhir"
)

const requestID = "request-id"

// newRequestID is random, so that it tells nothing about other requests.
func newRequestID() string {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// identified gives every request an id of ours. What a client sends under the
// same name goes back to it as X-Correlation-Id (R4 http.html#custom) when it
// is an id, and nowhere else: it could carry patient data into log or trail.
func (h *Handler) identified(c *gin.Context) {
	id := newRequestID()
	if theirs := c.Request.Header.Values("X-Request-Id"); len(theirs) == 1 && fhir.ValidID(theirs[0]) {
		c.Writer.Header().Set("X-Correlation-Id", theirs[0])
	}
	c.Set(requestID, id)
	c.Writer.Header().Set("X-Request-Id", id)
	c.Writer.Header().Set("X-Content-Type-Options", "nosniff")
	c.Next()
}

// recovered turns a panic into 500. The panic value may hold anything, so that
// only the stack, which names functions and addresses, is logged.
func (h *Handler) recovered(c *gin.Context) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if p == http.ErrAbortHandler {
			panic(p)
		}
		if h.Log != nil {
			h.Log.LogAttrs(c.Request.Context(), slog.LevelError, "panic in a handler",
				slog.String("request_id", c.GetString(requestID)), slog.String("stack", string(debug.Stack())))
		}
		if !c.Writer.Written() {
			h.outcome(c, http.StatusInternalServerError, "exception", "internal error")
		}
		c.Abort()
	}()
	c.Next()
}

// meter counts requests and their time by route template, method and status;
// never by path.
type meter struct {
	duration metric.Float64Histogram
	failures metric.Int64Counter
	sets     sync.Map // label → metric.MeasurementOption
}

type label struct {
	route, method string
	status        int
}

func newMeter() *meter {
	m := otel.Meter("github.com/fieldseal/fieldseal/fhir/rest")
	d, err := m.Float64Histogram("http.server.request.duration",
		metric.WithUnit("s"), metric.WithDescription("Time of FHIR requests by route template."),
		metric.WithExplicitBucketBoundaries(.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10))
	n, err2 := m.Int64Counter("fieldseal.request.failures", metric.WithDescription("Requests, and entries of a batch, that failed by the server's own trouble."))
	if err := errors.Join(err, err2); err != nil {
		otel.Handle(err)
	}
	return &meter{duration: d, failures: n}
}

func (m *meter) failed(ctx context.Context, status int) {
	m.failures.Add(ctx, 1, metric.WithAttributes(attribute.String("http.response.status_code", strconv.Itoa(status))))
}

func (m *meter) record(ctx context.Context, l label, d time.Duration) {
	set, ok := m.sets.Load(l)
	if !ok {
		set, _ = m.sets.LoadOrStore(l, metric.WithAttributeSet(attribute.NewSet(attribute.String("http.route", l.route),
			attribute.String("http.request.method", l.method), attribute.String("http.response.status_code", strconv.Itoa(l.status)))))
	}
	m.duration.Record(ctx, d.Seconds(), set.(metric.RecordOption))
}

func (h *Handler) measured(c *gin.Context) {
	start := time.Now()
	c.Next()
	method := c.Request.Method
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
	default:
		method = "other"
	}
	h.meter.record(c.Request.Context(), label{c.FullPath(), method, c.Writer.Status()}, time.Since(start))
}
