package mongostore

import (
	"context"
	"sync"

	"go.mongodb.org/mongo-driver/v2/event"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

var tracer = otel.Tracer("github.com/fieldseal/fieldseal/repository/mongostore")

// traced are the commands that get a span; the others belong to the driver.
var traced = map[string]bool{
	"find": true, "getMore": true, "insert": true, "update": true, "delete": true, "findAndModify": true,
	"aggregate": true, "commitTransaction": true, "abortTransaction": true, "createIndexes": true,
}

// commandSpans makes one span per command. It carries the names of the command
// and of its collection, and nothing of a filter or document. watch, when set,
// is told of each command too.
func commandSpans(watch func(*event.CommandStartedEvent)) *event.CommandMonitor {
	var open sync.Map // request id → span
	end := func(id int64, failed bool) {
		span, ok := open.LoadAndDelete(id)
		if !ok {
			return
		}
		if failed {
			span.(trace.Span).SetStatus(codes.Error, "")
		}
		span.(trace.Span).End()
	}
	return &event.CommandMonitor{
		Started: func(ctx context.Context, e *event.CommandStartedEvent) {
			if watch != nil {
				watch(e)
			}
			if !traced[e.CommandName] || !trace.SpanFromContext(ctx).IsRecording() {
				return
			}
			attrs := []attribute.KeyValue{
				attribute.String("db.system.name", "mongodb"),
				attribute.String("db.operation.name", e.CommandName),
			}
			if name, ok := e.Command.Lookup(e.CommandName).StringValueOK(); ok {
				attrs = append(attrs, attribute.String("db.collection.name", name))
			}
			_, span := tracer.Start(ctx, "mongodb "+e.CommandName, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attrs...))
			open.Store(e.RequestID, span)
		},
		Succeeded: func(_ context.Context, e *event.CommandSucceededEvent) { end(e.RequestID, false) },
		Failed:    func(_ context.Context, e *event.CommandFailedEvent) { end(e.RequestID, true) },
	}
}
