// Package telemetry sets up what the server says about itself: structured
// logs, Prometheus metrics and OpenTelemetry traces. It is the only place that
// knows the OpenTelemetry SDK; everything else uses its API.
//
// Start with New. Logs, span attributes and metric attributes pass allow lists
// (allow.go): a key that is not listed is dropped, a value that does not have
// the shape of its key is withheld. So a careless line somewhere cannot carry
// patient data out; audit is the only place that names patients.
//
// A collector that is down costs spans, never a request: export runs in the
// background with a bounded queue and bounded retries.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Defaults and bounds of trace export.
const (
	// queuedSpans bounds the memory that a collector which is down can cost.
	queuedSpans    = 4096
	exportTimeout  = 10 * time.Second
	maxElapsed     = time.Minute // of retries for one batch
	errorLogPeriod = time.Minute // an unreachable collector is logged once a minute
)

// Options configures New.
type Options struct {
	// LogLevel is debug, info, warn or error; LogFormat is text or json.
	LogLevel, LogFormat string
	// LogOutput receives the log lines; required.
	LogOutput io.Writer
	// OTLPEndpoint is host:port of a collector, empty for no export.
	OTLPEndpoint string
	// OTLPInsecure speaks to the collector without TLS.
	OTLPInsecure bool
	// Service, Version and Instance name this process in traces and metrics.
	Service, Version, Instance string
	// SpanExporter replaces the OTLP exporter, for tests and other sinks.
	SpanExporter sdktrace.SpanExporter
}

// Validate reports every problem at once.
func (o Options) Validate() error {
	var errs []error
	if o.LogOutput == nil {
		errs = append(errs, errors.New("log output is missing"))
	}
	if _, err := level(o.LogLevel); err != nil {
		errs = append(errs, err)
	}
	if o.LogFormat != "text" && o.LogFormat != "json" {
		errs = append(errs, errors.New("log format: want text or json"))
	}
	if o.Service == "" {
		errs = append(errs, errors.New("service name is missing"))
	}
	return errors.Join(errs...)
}

// Telemetry holds the providers of one process. Its methods may be called
// concurrently.
type Telemetry struct {
	logger   *slog.Logger
	registry *prometheus.Registry
	meters   *sdkmetric.MeterProvider
	tracers  *sdktrace.TracerProvider
	exporter sdktrace.SpanExporter // nil without export
	lastLog  atomic.Int64          // of an export error, Unix nanoseconds
}

// New builds the providers. It does not wait for a collector and registers
// nothing globally: call Install for that.
func New(ctx context.Context, o Options) (*Telemetry, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	t := &Telemetry{logger: newLogger(o), registry: prometheus.NewRegistry()}
	res := resource.NewSchemaless(
		attribute.String("service.name", o.Service),
		attribute.String("service.version", o.Version),
		attribute.String("service.instance.id", o.Instance),
	)
	if err := t.startMetrics(res); err != nil {
		return nil, fmt.Errorf("telemetry: metrics: %w", err)
	}
	if err := t.startTraces(ctx, o, res); err != nil {
		return nil, fmt.Errorf("telemetry: traces: %w", errors.Join(err, t.meters.Shutdown(ctx)))
	}
	return t, nil
}

func (t *Telemetry) startMetrics(res *resource.Resource) error {
	if err := errors.Join(
		t.registry.Register(collectors.NewGoCollector()),
		t.registry.Register(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})),
	); err != nil {
		return err
	}
	exporter, err := otelprom.New(otelprom.WithRegisterer(t.registry), otelprom.WithoutScopeInfo())
	if err != nil {
		return err
	}
	t.meters = sdkmetric.NewMeterProvider(
		sdkmetric.WithResource(res),
		sdkmetric.WithReader(exporter),
		sdkmetric.WithView(sdkmetric.NewView(sdkmetric.Instrument{Name: "*"}, sdkmetric.Stream{AttributeFilter: allowedMetric})),
	)
	return nil
}

func (t *Telemetry) startTraces(ctx context.Context, o Options, res *resource.Resource) error {
	options := []sdktrace.TracerProviderOption{sdktrace.WithResource(res)}
	exporter := o.SpanExporter
	if exporter == nil && o.OTLPEndpoint != "" {
		var err error
		if exporter, err = newOTLP(ctx, o); err != nil {
			return err
		}
	}
	t.exporter = exporter
	if exporter != nil {
		options = append(options, sdktrace.WithBatcher(filtered{exporter},
			sdktrace.WithMaxQueueSize(queuedSpans), sdktrace.WithExportTimeout(exportTimeout)))
	} else {
		options = append(options, sdktrace.WithSampler(sdktrace.NeverSample()))
	}
	t.tracers = sdktrace.NewTracerProvider(options...)
	return nil
}

// newOTLP connects lazily: the collector may be started later.
func newOTLP(ctx context.Context, o Options) (sdktrace.SpanExporter, error) {
	options := []otlptracegrpc.Option{
		otlptracegrpc.WithEndpoint(o.OTLPEndpoint),
		otlptracegrpc.WithTimeout(exportTimeout),
		otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{
			Enabled: true, InitialInterval: time.Second, MaxInterval: 15 * time.Second, MaxElapsedTime: maxElapsed,
		}),
	}
	if o.OTLPInsecure {
		options = append(options, otlptracegrpc.WithInsecure())
	}
	return otlptracegrpc.New(ctx, options...)
}

// Install makes the providers the global ones and the logger slog's default,
// so that packages which only know the API reach them. Only trace context is
// propagated; baggage is not, since clients could fill it.
func (t *Telemetry) Install() {
	otel.SetErrorHandler(otel.ErrorHandlerFunc(t.exportError))
	otel.SetMeterProvider(t.meters)
	otel.SetTracerProvider(t.tracers)
	otel.SetTextMapPropagator(propagation.TraceContext{})
	slog.SetDefault(t.logger)
}

// exportError logs that telemetry is lost, at most once a period.
func (t *Telemetry) exportError(err error) {
	now, last := time.Now().UnixNano(), t.lastLog.Load()
	if now-last < int64(errorLogPeriod) || !t.lastLog.CompareAndSwap(last, now) {
		return
	}
	t.logger.Warn("telemetry export failed", "error", err)
}

// Logger is the allow-listed logger.
func (t *Telemetry) Logger() *slog.Logger { return t.logger }

// Tracers is the tracer provider.
func (t *Telemetry) Tracers() trace.TracerProvider { return t.tracers }

// Meters is the meter provider.
func (t *Telemetry) Meters() metric.MeterProvider { return t.meters }

// Handler serves the metrics in Prometheus text form.
func (t *Telemetry) Handler() http.Handler {
	return promhttp.HandlerFor(t.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
}

// Shutdown sends what is queued and stops, traces first, so that the metrics
// of the last spans are still counted. It returns when ctx ends at the latest;
// what could not be sent by then is lost.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	err := t.tracers.Shutdown(ctx)
	if err != nil && t.exporter != nil {
		// The SDK leaves a retrying export behind when ctx ends first.
		err = errors.Join(err, t.exporter.Shutdown(ctx))
	}
	if err = errors.Join(err, t.meters.Shutdown(ctx)); err != nil {
		return fmt.Errorf("telemetry: shutdown: %w", err)
	}
	return nil
}
