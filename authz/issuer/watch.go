package issuer

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// watched measures what became of a fetch, before it tells the operator of a
// failure: 1 for an issuer that answered last, 0 for one that did not. The name
// is that of the list.
func watched(name string, trouble func(error, bool)) func(error, bool) {
	gauge, err := otel.Meter("github.com/fieldseal/fieldseal/authz/issuer").Int64Gauge("fieldseal.issuer.reachable",
		metric.WithDescription("Whether the last fetch of an external issuer's keys and endpoints succeeded."))
	if err != nil {
		otel.Handle(err)
	}
	at := metric.WithAttributes(attribute.String("issuer", name))
	return func(err error, serving bool) {
		value := int64(1)
		if err != nil {
			value = 0
			trouble(err, serving)
		}
		gauge.Record(context.Background(), value, at)
	}
}

// Away reports whether an issuer did not answer when it was asked last.
func (s *Set) Away() bool {
	for _, i := range s.issuers {
		if i.keys.current().failing {
			return true
		}
	}
	return false
}
