// Package telemetrytest is a collector that receives what the server exports:
// OTLP over gRPC on loopback, as an OpenTelemetry collector would.
//
// Start with New. The package is for tests; nothing of it is kept compatible.
package telemetrytest

import (
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// Span is a received span in plain form.
type Span struct {
	Name, ID, Parent, Trace string
	Attributes              map[string]string
	Events                  []Event
	Failed                  bool
}

// Event is one event of a span.
type Event struct {
	Name       string
	Attributes map[string]string
}

// Collector receives spans. Its methods may be called concurrently.
type Collector struct {
	collector.UnimplementedTraceServiceServer
	Address string // host:port
	mu      sync.Mutex
	spans   []Span
	raw     []byte // every request as it came
}

// New starts a collector that ends with the test.
func New(t testing.TB) *Collector {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &Collector{Address: l.Addr().String()}
	s := grpc.NewServer()
	collector.RegisterTraceServiceServer(s, c)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	return c
}

// Export implements the OTLP trace service.
func (c *Collector) Export(_ context.Context, r *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	raw, err := proto.Marshal(r)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw = append(c.raw, raw...)
	for _, rs := range r.ResourceSpans {
		for _, ss := range rs.ScopeSpans {
			for _, s := range ss.Spans {
				c.spans = append(c.spans, plain(s))
			}
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

func plain(s *otlp.Span) Span {
	out := Span{Name: s.Name, ID: hex.EncodeToString(s.SpanId), Parent: hex.EncodeToString(s.ParentSpanId),
		Trace: hex.EncodeToString(s.TraceId), Attributes: attributes(s.Attributes), Failed: s.Status.GetCode() == otlp.Status_STATUS_CODE_ERROR}
	for _, e := range s.Events {
		out.Events = append(out.Events, Event{e.Name, attributes(e.Attributes)})
	}
	return out
}

func attributes(kvs []*common.KeyValue) map[string]string {
	out := map[string]string{}
	for _, kv := range kvs {
		switch v := kv.Value.GetValue().(type) {
		case *common.AnyValue_StringValue:
			out[kv.Key] = v.StringValue
		case *common.AnyValue_IntValue:
			out[kv.Key] = fmt.Sprint(v.IntValue)
		default:
			out[kv.Key] = kv.Value.String()
		}
	}
	return out
}

// Spans returns what has come so far.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Span(nil), c.spans...)
}

// Contains reports whether any request held the text, in whatever field.
func (c *Collector) Contains(text string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Contains(string(c.raw), text)
}
