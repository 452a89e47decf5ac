// Package trace reports interactions to OpenTelemetry: one span per interaction,
// a child span per step, and an access event on each read.
//
// Start with New and Tracer.Start. The package uses the OpenTelemetry API only;
// the SDK is wired elsewhere. A nil Tracer does nothing and costs nothing.
//
// Security: spans leave the house. An attribute can only be made by the
// constructors of this package, from numbers, keyed hashes and registered names:
// no function takes a value of a request as a string. Errors reach a span as a class, never as text. A test over the source
// keeps it so.
//
// Names of spans, attributes and events stay as they are.
package trace

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	oteltrace "go.opentelemetry.io/otel/trace"
)

// scope is the instrumentation scope of every span.
const scope = "github.com/fieldseal/fieldseal/audit/trace"

// Tracer makes spans. The nil Tracer makes none.
type Tracer struct{ t oteltrace.Tracer }

// New returns a tracer over a provider, or nil, which is a valid Tracer, when
// there is no provider.
func New(p oteltrace.TracerProvider) *Tracer {
	if p == nil {
		return nil
	}
	return &Tracer{p.Tracer(scope)}
}

// Span is one interaction or step under way. The zero Span does nothing.
type Span struct{ s oteltrace.Span }

// Start begins the span of an interaction.
func (t *Tracer) Start(ctx context.Context, i Interaction) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	ctx, s := t.t.Start(ctx, i.spanName(), oteltrace.WithSpanKind(oteltrace.SpanKindServer))
	return ctx, Span{s}
}

// Step begins the child span of a step.
func (t *Tracer) Step(ctx context.Context, step Step) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	ctx, s := t.t.Start(ctx, step.spanName())
	return ctx, Span{s}
}

// Recording reports whether anybody will see the span.
func (s Span) Recording() bool { return s.s != nil && s.s.IsRecording() }

// Set adds attributes; the zero Attribute adds nothing.
func (s Span) Set(attributes ...Attribute) {
	if !s.Recording() {
		return
	}
	for _, a := range attributes {
		if a.kv.Valid() {
			s.s.SetAttributes(a.kv)
		}
	}
}

// End ends the span with its outcome. Only Failed and Unavailable mark it as an
// error: a denial is no fault of the server.
func (s Span) End(o Outcome) {
	if s.s == nil {
		return
	}
	if s.s.IsRecording() {
		s.s.SetAttributes(attribute.String("fieldseal.outcome", o.String()))
		if o == Failed || o == Unavailable {
			s.s.SetStatus(codes.Error, "")
		}
	}
	s.s.End()
}

// Access says what a read disclosed, in numbers.
type Access struct {
	Revision  uint64 // of the policy that decided
	Receipt   uint64 // sequence number in the audit trail
	Resources int
	Patients  int
	Classes   uint16 // element classes returned (bits of field.ClassSet)
}

// Access adds the access event.
func (s Span) Access(a Access) {
	if !s.Recording() {
		return
	}
	s.s.AddEvent("access", oteltrace.WithAttributes(
		attribute.Int64("fieldseal.decision.revision", int64(a.Revision)),
		attribute.Int64("fieldseal.audit.receipt", int64(a.Receipt)),
		attribute.Int("fieldseal.access.resources", a.Resources),
		attribute.Int("fieldseal.access.patients", a.Patients),
		attribute.Int("fieldseal.access.classes", int(a.Classes)),
	))
}

// ID is the trace id of the span in hexadecimal, or empty: what an audit event
// keeps as TraceID.
func (s Span) ID() string {
	if s.s == nil || !s.s.SpanContext().HasTraceID() {
		return ""
	}
	return s.s.SpanContext().TraceID().String()
}

// Accept takes over the caller's traceparent when the peer is trusted. A
// malformed one is ignored, and tracestate and baggage never are taken: both
// carry free text.
func Accept(ctx context.Context, trusted bool, traceparent string) context.Context {
	if !trusted || traceparent == "" {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": traceparent})
}
