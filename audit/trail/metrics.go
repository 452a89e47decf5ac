package trail

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"

	"github.com/fieldseal/fieldseal/audit"
)

// Instruments of the trail, through the OpenTelemetry metric API. None carries
// an attribute, so none can carry a value of an event.
const (
	metricAppend     = "fieldseal.audit.append.duration" // seconds that Record took
	metricBatch      = "fieldseal.audit.batch.size"      // records per fdatasync
	metricRefused    = "fieldseal.audit.refused"         // events refused because the trail is unavailable
	metricSpool      = "fieldseal.audit.spool"           // queued events that wait for space or keys
	metricQueue      = "fieldseal.audit.queue"           // records that wait for the disk
	metricUnwitness  = "fieldseal.audit.unwitnessed"     // events that no witness has seen
	metricAvailable  = "fieldseal.audit.available"       // 1 when ordinary events are taken
	instrumentedName = "github.com/fieldseal/fieldseal/audit/trail"
)

type metrics struct {
	append  metric.Float64Histogram
	size    metric.Int64Histogram
	refused metric.Int64Counter
	gauges  metric.Registration
}

func newMetrics(t *Trail) (*metrics, error) {
	m := otel.Meter(instrumentedName)
	var errs [7]error
	var out metrics
	out.append, errs[0] = m.Float64Histogram(metricAppend, metric.WithUnit("s"),
		metric.WithExplicitBucketBoundaries(.0005, .001, .002, .004, .008, .016, .032, .064, .128, .5, 2))
	out.size, errs[1] = m.Int64Histogram(metricBatch, metric.WithUnit("{record}"),
		metric.WithExplicitBucketBoundaries(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024))
	out.refused, errs[2] = m.Int64Counter(metricRefused, metric.WithUnit("{event}"))
	spool, err := m.Int64ObservableGauge(metricSpool, metric.WithUnit("{event}"))
	errs[3] = err
	queue, err := m.Int64ObservableGauge(metricQueue, metric.WithUnit("{record}"))
	errs[4] = err
	unwitnessed, err := m.Int64ObservableGauge(metricUnwitness, metric.WithUnit("{event}"))
	errs[5] = err
	available, err := m.Int64ObservableGauge(metricAvailable)
	errs[6] = err
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	if t.opt.adopted {
		return &out, nil
	}
	out.gauges, err = m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := t.Status()
		o.ObserveInt64(spool, int64(s.Spooled))
		o.ObserveInt64(queue, int64(s.Queued))
		o.ObserveInt64(unwitnessed, int64(s.Events-s.Witnessed))
		o.ObserveInt64(available, int64(boolInt(s.Available)))
		return nil
	}, spool, queue, unwitnessed, available)
	return &out, err
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (m *metrics) recorded(ctx context.Context, d time.Duration) { m.append.Record(ctx, d.Seconds()) }

func (m *metrics) batch(n int) { m.size.Record(context.Background(), int64(n)) }

func (m *metrics) refuse(ctx context.Context, err error) {
	if errors.Is(err, audit.ErrUnavailable) {
		m.refused.Add(ctx, 1)
	}
}

func (m *metrics) unregister() {
	if m.gauges != nil {
		_ = m.gauges.Unregister() // only fails for a foreign registration
	}
}
