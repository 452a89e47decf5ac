package mongostore

import (
	"context"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/event"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

const instrumentedName = "github.com/fieldseal/fieldseal/repository/mongostore"

var tracer = otel.Tracer(instrumentedName)

// observed are the commands that are measured and get a span; the others belong
// to the driver.
var observed = map[string]bool{
	"find": true, "getMore": true, "insert": true, "update": true, "delete": true, "findAndModify": true,
	"aggregate": true, "commitTransaction": true, "abortTransaction": true, "createIndexes": true,
}

// command is all that leaves of one: the names of it and of its collection, and
// nothing of a filter or document. Names are OpenTelemetry's.
type command struct{ name, collection string }

func (c command) attributes() []attribute.KeyValue {
	attrs := []attribute.KeyValue{attribute.String("db.system.name", "mongodb"), attribute.String("db.operation.name", c.name)}
	if c.collection != "" {
		attrs = append(attrs, attribute.String("db.collection.name", c.collection))
	}
	return attrs
}

// underWay is a command without its reply.
type underWay struct {
	command
	span trace.Span // nil when it is not traced
}

// monitor makes a span of each command and measures it.
type monitor struct {
	duration metric.Float64Histogram
	sets     sync.Map // command → metric.MeasurementOption
	open     sync.Map // request id → underWay
}

// newMonitor returns what the driver tells. watch, when set, is told of each
// command too.
func newMonitor(watch func(*event.CommandStartedEvent)) *event.CommandMonitor {
	d, err := otel.Meter(instrumentedName).Float64Histogram("db.client.operation.duration",
		metric.WithUnit("s"), metric.WithDescription("Time of commands to the database, by command and collection."),
		metric.WithExplicitBucketBoundaries(.001, .005, .01, .05, .1, .5, 1, 5, 10))
	if err != nil {
		otel.Handle(err)
	}
	m := &monitor{duration: d}
	return &event.CommandMonitor{
		Started: func(ctx context.Context, e *event.CommandStartedEvent) {
			if watch != nil {
				watch(e)
			}
			if observed[e.CommandName] {
				m.begin(ctx, e)
			}
		},
		Succeeded: func(ctx context.Context, e *event.CommandSucceededEvent) { m.end(ctx, e.RequestID, e.Duration, false) },
		Failed:    func(ctx context.Context, e *event.CommandFailedEvent) { m.end(ctx, e.RequestID, e.Duration, true) },
	}
}

func (m *monitor) begin(ctx context.Context, e *event.CommandStartedEvent) {
	u := underWay{command: command{name: e.CommandName}}
	field := e.CommandName
	if field == "getMore" { // its own value is the cursor
		field = "collection"
	}
	u.collection, _ = e.Command.Lookup(field).StringValueOK()
	if trace.SpanFromContext(ctx).IsRecording() {
		_, u.span = tracer.Start(ctx, "mongodb "+u.name, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(u.attributes()...))
	}
	m.open.Store(e.RequestID, u)
}

func (m *monitor) end(ctx context.Context, id int64, took time.Duration, failed bool) {
	found, ok := m.open.LoadAndDelete(id)
	if !ok {
		return
	}
	u := found.(underWay)
	set, ok := m.sets.Load(u.command)
	if !ok {
		set, _ = m.sets.LoadOrStore(u.command, metric.WithAttributeSet(attribute.NewSet(u.attributes()...)))
	}
	m.duration.Record(ctx, took.Seconds(), set.(metric.RecordOption))
	if u.span == nil {
		return
	}
	if failed {
		u.span.SetStatus(codes.Error, "")
	}
	u.span.End()
}
