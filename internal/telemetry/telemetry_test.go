package telemetry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/fieldseal/fieldseal/internal/telemetry"
)

// marker stands for anything that belongs to a patient.
const marker = "Müller, Anna"

func TestMain(m *testing.M) {
	code := m.Run()
	if err := leaked(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// leaked looks for goroutines for longer than goleak does alone: on a busy machine
// those that are ending need more than half a second.
func leaked() (err error) {
	for end := time.Now().Add(time.Minute); ; {
		if err = goleak.Find(); err == nil || time.Now().After(end) {
			return err
		}
	}
}

// lines is an output that the logger and the test may use at once.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) { l.mu.Lock(); defer l.mu.Unlock(); return l.b.Write(p) }
func (l *lines) String() string              { l.mu.Lock(); defer l.mu.Unlock(); return l.b.String() }

func start(t *testing.T, change func(*telemetry.Options)) (*telemetry.Telemetry, *lines) {
	t.Helper()
	out := &lines{}
	o := telemetry.Options{LogLevel: "debug", LogFormat: "json", LogOutput: out, Service: "fieldseal", Version: "test"}
	if change != nil {
		change(&o)
	}
	tel, err := telemetry.New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		_ = tel.Shutdown(ctx)
	})
	return tel, out
}

type patient struct{ Name string }

func TestLogCannotCarryPatientData(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"json", "text"} {
		tel, out := start(t, func(o *telemetry.Options) { o.LogFormat = format })
		log := tel.Logger().With("name", marker, "type", marker, slog.Group("person", "family", marker))
		log.WithGroup("x").Info("read", "patient", marker, "query", "name="+marker, "type", patient{marker},
			"status", &patient{marker}, slog.Group("resource", "id", marker, "route", marker),
			"reason", patient{marker}, "count", []string{marker}, "code", fmt.Stringer(nil))
		if got := out.String(); got == "" || strings.Contains(got, "Anna") {
			t.Errorf("%s: %s", format, got)
		}
	}
}

func TestLogKeepsWhatIsAllowed(t *testing.T) {
	t.Parallel()
	tel, out := start(t, nil)
	ctx := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}}))
	tel.Logger().With("component", "trail").InfoContext(ctx, "request done", "route", "/fhir/:type/:id", "status", 200,
		"duration", 3*time.Millisecond, "error", errors.New("trail is\nfull"), "unlisted", 1, slog.Group("g", "bytes", 7))
	for _, want := range []string{
		`"msg":"request done"`, `"component":"trail"`, `"route":"/fhir/:type/:id"`, `"status":200`, `"duration":3000000`,
		`"error":"trail is full"`, `"bytes":7`, `"attributes_withheld":1`, `"trace_id":"01`, `"span_id":"02`,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in %s", want, out)
		}
	}
}

func TestLogLinesAreBounded(t *testing.T) {
	t.Parallel()
	tel, out := start(t, nil)
	tel.Logger().Error(strings.Repeat("ä\n", 9999), "error", errors.New(strings.Repeat("ü", 9999)), "stack", strings.Repeat("s\n", 1<<20), "type", strings.Repeat("T", 999))
	if n := len(out.String()); n > 40<<10 {
		t.Fatalf("%d bytes", n)
	}
	if strings.Count(out.String(), "\n") != 1 || strings.Contains(out.String(), "\ufffd") {
		t.Fatal("a line was split or a rune cut")
	}
}

func TestLevel(t *testing.T) {
	t.Parallel()
	tel, out := start(t, func(o *telemetry.Options) { o.LogLevel = "warn" })
	tel.Logger().Info("quiet")
	if out.String() != "" {
		t.Fatal(out)
	}
}

func TestSpansAndMetricsCannotCarryPatientData(t *testing.T) {
	t.Parallel()
	exporter := tracetest.NewInMemoryExporter()
	kept := &keep{InMemoryExporter: exporter}
	tel, _ := start(t, func(o *telemetry.Options) { o.SpanExporter = kept })
	_, span := tel.Tracers().Tracer("t").Start(t.Context(), "GET /fhir/Patient?name="+marker)
	span.SetAttributes(attribute.String("patient.name", marker), attribute.String("http.route", marker),
		attribute.StringSlice("fieldseal.outcome", []string{marker}), attribute.Int("fieldseal.bytes", 200))
	span.RecordError(errors.New(marker))
	span.AddEvent("access "+marker+"|", trace.WithAttributes(attribute.String("db.query.text", marker), attribute.Int("fieldseal.audit.receipt", 9)))
	span.SetStatus(codes.Error, marker)
	span.End()

	counter, err := tel.Meters().Meter("m").Int64Counter("requests")
	if err != nil {
		t.Fatal(err)
	}
	counter.Add(t.Context(), 2, metric.WithAttributes(attribute.String("patient", marker), attribute.String("http.route", marker), attribute.String("outcome", "ok")))
	metrics := scrape(t, tel)

	if err := tel.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	spans := fmt.Sprintf("%+v", kept.spans)
	if len(kept.spans) != 1 || strings.Contains(spans, "Anna") {
		t.Fatal(spans)
	}
	if !strings.Contains(spans, "fieldseal.bytes") || !strings.Contains(spans, "fieldseal.audit.receipt") {
		t.Errorf("allowed attributes are gone: %s", spans)
	}
	if strings.Contains(metrics, "Anna") || !strings.Contains(metrics, `requests_total{outcome="ok"} 2`) || !strings.Contains(metrics, "go_goroutines") {
		t.Error(metrics)
	}
}

// keep outlives Shutdown, which empties the in-memory exporter.
type keep struct {
	*tracetest.InMemoryExporter
	spans tracetest.SpanStubs
}

func (k *keep) Shutdown(ctx context.Context) error {
	k.spans = k.GetSpans()
	return k.InMemoryExporter.Shutdown(ctx)
}

func scrape(t *testing.T, tel *telemetry.Telemetry) string {
	t.Helper()
	w := httptest.NewRecorder()
	tel.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("status %d", w.Code)
	}
	return w.Body.String()
}

// A collector that is not there delays neither start nor spans, and shutdown
// ends with its context.
func TestCollectorDownCostsOnlySpans(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	begin := time.Now()
	tel, _ := start(t, func(o *telemetry.Options) { o.OTLPEndpoint, o.OTLPInsecure = addr, true })
	for range 10_000 { // more than the queue holds
		_, span := tel.Tracers().Tracer("t").Start(t.Context(), "read")
		span.End()
	}
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("spans took %s", took)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	begin = time.Now()
	if err := tel.Shutdown(ctx); err == nil {
		t.Error("lost spans were not reported")
	}
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("shutdown took %s", took)
	}
}

func TestWithoutCollectorNothingIsSampled(t *testing.T) {
	t.Parallel()
	tel, _ := start(t, nil)
	if _, span := tel.Tracers().Tracer("t").Start(t.Context(), "read"); span.IsRecording() {
		t.Fatal("spans are recorded for nobody")
	}
}

func TestOptionsReportEveryProblem(t *testing.T) {
	t.Parallel()
	_, err := telemetry.New(t.Context(), telemetry.Options{})
	for _, want := range []string{"log output", "log level", "log format", "service name"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
}

// Install is global, so its test runs alone.
func TestInstall(t *testing.T) {
	tel, out := start(t, nil)
	before := slog.Default()
	defer slog.SetDefault(before)
	tel.Install()
	slog.Info("started", "engine", "embedded")
	telemetry.ExportError(tel, errors.New("no collector"))
	telemetry.ExportError(tel, errors.New("no collector"))
	if got := out.String(); !strings.Contains(got, "embedded") || strings.Count(got, "no collector") != 1 {
		t.Fatal(got)
	}
}
