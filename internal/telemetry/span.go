package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// filtered passes spans on with allowed attributes only. It stands before the
// exporter, so that nothing which an instrumentation library adds slips by.
type filtered struct{ sdktrace.SpanExporter }

func (f filtered) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	out := make([]sdktrace.ReadOnlySpan, len(spans))
	for i, s := range spans {
		out[i] = allowedSpan{s}
	}
	return f.SpanExporter.ExportSpans(ctx, out)
}

// allowedSpan is a view of a span without what the allow list does not name.
type allowedSpan struct{ sdktrace.ReadOnlySpan }

func (s allowedSpan) Name() string { return spanName(s.ReadOnlySpan.Name()) }

func (s allowedSpan) Attributes() []attribute.KeyValue {
	return allowedAttributes(s.ReadOnlySpan.Attributes())
}

func (s allowedSpan) Events() []sdktrace.Event {
	events := s.ReadOnlySpan.Events()
	out := make([]sdktrace.Event, len(events))
	for i, e := range events {
		e.Name = spanName(e.Name)
		e.Attributes = allowedAttributes(e.Attributes)
		out[i] = e
	}
	return out
}

func (s allowedSpan) Links() []sdktrace.Link {
	links := s.ReadOnlySpan.Links()
	out := make([]sdktrace.Link, len(links))
	for i, l := range links {
		l.Attributes = allowedAttributes(l.Attributes)
		out[i] = l
	}
	return out
}

// Status keeps the code; its description is free text of whoever set it.
func (s allowedSpan) Status() sdktrace.Status {
	return sdktrace.Status{Code: s.ReadOnlySpan.Status().Code}
}

func allowedAttributes(kvs []attribute.KeyValue) []attribute.KeyValue {
	out := make([]attribute.KeyValue, 0, len(kvs))
	for _, kv := range kvs {
		sh, ok := spanKeys[string(kv.Key)]
		switch {
		case !ok:
		case kv.Value.Type() == attribute.STRING:
			out = append(out, kv.Key.String(sh.text(kv.Value.AsString())))
		case kv.Value.Type() == attribute.BOOL, kv.Value.Type() == attribute.INT64, kv.Value.Type() == attribute.FLOAT64:
			out = append(out, kv)
		}
	}
	return out
}

// spanName keeps "GET /fhir/:type/:id" and the like: words and single spaces.
// A query string or a value with other characters does not pass.
func spanName(s string) string {
	if len(s) > maxWord {
		return withheld
	}
	start := 0
	for i := 0; i <= len(s); i++ {
		if i < len(s) && s[i] != ' ' {
			continue
		}
		if !isWord(s[start:i]) {
			return withheld
		}
		start = i + 1
	}
	return s
}
