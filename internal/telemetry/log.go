package telemetry

import (
	"context"
	"errors"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
)

func level(name string) (slog.Level, error) {
	switch name {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, errors.New("log level: want debug, info, warn or error")
}

func newLogger(o Options) *slog.Logger {
	min, _ := level(o.LogLevel) // Options.Validate has checked it
	options := &slog.HandlerOptions{Level: min}
	if o.LogFormat == "json" {
		return slog.New(allowList{next: slog.NewJSONHandler(o.LogOutput, options)})
	}
	return slog.New(allowList{next: slog.NewTextHandler(o.LogOutput, options)})
}

// allowList is a slog.Handler that passes on allowed keys only. Groups are
// flattened away: the key that counts is the innermost.
type allowList struct{ next slog.Handler }

func (h allowList) Enabled(ctx context.Context, l slog.Level) bool { return h.next.Enabled(ctx, l) }

// Handle filters one line and adds the trace it belongs to. How many
// attributes were dropped is said, so that a missing key is noticed.
func (h allowList) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, r.Level, sentence.text(r.Message), r.PC)
	dropped := 0
	r.Attrs(func(a slog.Attr) bool {
		kept, n := allow(nil, a)
		out.AddAttrs(kept...)
		dropped += n
		return true
	})
	if dropped > 0 {
		out.AddAttrs(slog.Int("attributes_withheld", dropped))
	}
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		out.AddAttrs(slog.String("trace_id", sc.TraceID().String()), slog.String("span_id", sc.SpanID().String()))
	}
	return h.next.Handle(ctx, out)
}

func (h allowList) WithAttrs(attrs []slog.Attr) slog.Handler {
	var kept []slog.Attr
	for _, a := range attrs {
		kept, _ = allow(kept, a)
	}
	return allowList{h.next.WithAttrs(kept)}
}

func (h allowList) WithGroup(string) slog.Handler { return h }

// allow appends the attribute, or the members of a group, as far as allowed.
func allow(kept []slog.Attr, a slog.Attr) ([]slog.Attr, int) {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		dropped := 0
		for _, member := range v.Group() {
			var n int
			kept, n = allow(kept, member)
			dropped += n
		}
		return kept, dropped
	}
	sh, ok := logKeys[a.Key]
	if !ok {
		return kept, 1
	}
	return append(kept, slog.Attr{Key: a.Key, Value: sh.value(v)}), 0
}

// value keeps numbers and times, fits texts and errors, and withholds every
// other type: a struct might print anything.
func (sh shape) value(v slog.Value) slog.Value {
	switch v.Kind() {
	case slog.KindString:
		return slog.StringValue(sh.text(v.String()))
	case slog.KindBool, slog.KindDuration, slog.KindFloat64, slog.KindInt64, slog.KindTime, slog.KindUint64:
		return v
	}
	if err, ok := v.Any().(error); ok && err != nil {
		return slog.StringValue(sh.text(err.Error()))
	}
	return slog.StringValue(withheld)
}
