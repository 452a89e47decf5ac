package interaction

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"

	"github.com/fieldseal/fieldseal/audit/trace"
)

// searchMeter counts what searches cost: candidates minus matches is what the
// index selected in vain. bounded counts what was denied by a bound.
type searchMeter struct{ entries, candidates, matches, bounded metric.Int64Counter }

func newSearchMeter() *searchMeter {
	m := otel.Meter("github.com/fieldseal/fieldseal/fhir/interaction")
	counter := func(name, what string) metric.Int64Counter {
		c, err := m.Int64Counter(name, metric.WithDescription(what))
		if err != nil {
			otel.Handle(err)
		}
		return c
	}
	return &searchMeter{
		entries:    counter("fieldseal.search.index_entries", "Index entries that searches read."),
		candidates: counter("fieldseal.search.candidates", "Resources that searches rechecked."),
		bounded:    counter("fieldseal.decision.bounded", "Times that access was denied because a rule would have had to look at too many resources."),
		matches:    counter("fieldseal.search.matches", "Resources that matched after the recheck."),
	}
}

// measure adds what a search did to the metrics and its span.
func (x *finder) measure(ctx context.Context) {
	x.meter.entries.Add(ctx, int64(x.read))
	x.meter.candidates.Add(ctx, int64(x.checked))
	x.meter.matches.Add(ctx, int64(x.matched))
	if x.call.span.Recording() {
		x.call.span.Set(trace.Candidates(x.checked), trace.Matches(x.matched))
	}
}
