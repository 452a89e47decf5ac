package oauth

import (
	"context"
	"net/http"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/fieldseal/fieldseal/audit/trace"
	"github.com/fieldseal/fieldseal/authz/client"
)

// throttled means that somebody asks more often than it may.
type throttled struct{ wait time.Duration }

func (throttled) Error() string { return "throttled" }

// admit takes one of a client's requests, or says when there will be one.
func (s *Server) admit(c client.Client) error {
	if wait, ok := s.byClient.Admit(c.ID, s.Now()); !ok {
		return throttled{wait}
	}
	return nil
}

// meter counts requests and their time by endpoint and outcome: an error code
// of the table standard, page for an error page, or ok. Nothing of a request is
// a label.
type meter struct{ duration metric.Float64Histogram }

func newMeter() *meter {
	d, err := otel.Meter("github.com/fieldseal/fieldseal/authz/oauth").Float64Histogram("oauth.request.duration",
		metric.WithUnit("s"), metric.WithDescription("Time of requests to the authorization server by endpoint and outcome."),
		metric.WithExplicitBucketBoundaries(.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10))
	if err != nil {
		otel.Handle(err)
	}
	return &meter{d}
}

// operations are the labels of endpoints.
var operations = map[trace.Interaction]string{trace.Token: "token", trace.Authorize: "authorize", trace.Introspect: "introspect",
	trace.Revoke: "revoke", trace.Launch: "launch", trace.Register: "register"}

func (m *meter) record(ctx context.Context, i trace.Interaction, code string, d time.Duration) {
	if code == "" {
		code = "ok"
	}
	m.duration.Record(ctx, d.Seconds(), metric.WithAttributes(attribute.String("operation", operations[i]), attribute.String("outcome", code)))
}

// watched keeps what became of a request.
type watched struct {
	http.ResponseWriter
	status int
	code   string
}

func (w *watched) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *watched) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// note keeps the error code of an answer, which is one of the server's own.
func note(w http.ResponseWriter, code string) {
	if x, ok := w.(*watched); ok {
		x.code = code
	}
}

// watch measures an endpoint and makes its span, which has an outcome and no
// other attribute.
func (s *Server) watch(i trace.Interaction, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		ctx, span := s.Tracer.Start(r.Context(), i)
		x := &watched{ResponseWriter: w, status: http.StatusOK}
		next(x, r.WithContext(ctx))
		span.End(x.outcome())
		s.meter.record(ctx, i, x.code, time.Since(start))
	}
}

// outcome is the class of an answer. A redirect with an error is one, too.
func (w *watched) outcome() trace.Outcome {
	switch {
	case w.status == http.StatusServiceUnavailable, w.code == "temporarily_unavailable" && w.status < http.StatusBadRequest:
		return trace.Unavailable
	case w.status >= http.StatusInternalServerError, w.code == "server_error":
		return trace.Failed
	case w.status == http.StatusUnauthorized, w.status == http.StatusForbidden, w.code == "access_denied", w.code == "login_required", w.code == "consent_required", w.code == "interaction_required":
		return trace.Denied
	case w.status >= http.StatusBadRequest, w.code != "":
		return trace.Invalid
	}
	return trace.OK
}
