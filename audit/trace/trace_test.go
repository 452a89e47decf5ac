package trace

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	oteltrace "go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// recorder keeps what it is told.
type recorder struct{ spans []*recorded }

type recorded struct {
	noop.Span
	name   string
	attrs  map[attribute.Key]attribute.Value
	events []string
	status codes.Code
	ended  bool
}

func (r *recorder) Tracer(string, ...oteltrace.TracerOption) oteltrace.Tracer {
	return recorderTracer{r: r}
}

type recorderTracer struct {
	noop.Tracer
	r *recorder
}

func (t recorderTracer) Start(ctx context.Context, name string, _ ...oteltrace.SpanStartOption) (context.Context, oteltrace.Span) {
	s := &recorded{name: name, attrs: map[attribute.Key]attribute.Value{}}
	t.r.spans = append(t.r.spans, s)
	return oteltrace.ContextWithSpan(ctx, s), s
}

func (s *recorded) IsRecording() bool              { return true }
func (s *recorded) End(...oteltrace.SpanEndOption) { s.ended = true }
func (s *recorded) AddEvent(name string, _ ...oteltrace.EventOption) {
	s.events = append(s.events, name)
}
func (s *recorded) SetStatus(c codes.Code, _ string) { s.status = c }
func (s *recorded) SetAttributes(kvs ...attribute.KeyValue) {
	for _, kv := range kvs {
		s.attrs[kv.Key] = kv.Value
	}
}

type provider struct {
	noop.TracerProvider
	r *recorder
}

func (p provider) Tracer(n string, o ...oteltrace.TracerOption) oteltrace.Tracer {
	return p.r.Tracer(n, o...)
}

func TestSpansOfARead(t *testing.T) {
	t.Parallel()
	var rec recorder
	tr := New(provider{r: &rec})
	types := NewTypes([]string{"Patient"})
	ctx, span := tr.Start(t.Context(), Read)
	span.Set(NewRoutes([]string{"/fhir/:type/:id"}).Of("/fhir/:type/:id"), types.Of("Patient"), Attribute{})
	_, step := tr.Step(ctx, Decide)
	step.Set(Opened(7))
	step.End(Denied)
	span.Access(Access{Revision: 7, Receipt: 9, Resources: 1, Patients: 1, Classes: 6})
	span.End(Failed)
	if len(rec.spans) != 2 || rec.spans[0].name != "fhir.read" || rec.spans[1].name != "decide" {
		t.Fatalf("%+v", rec.spans)
	}
	root, decide := rec.spans[0], rec.spans[1]
	if len(root.attrs) != 3 || root.attrs["http.route"].AsString() != "/fhir/:type/:id" || root.attrs["fieldseal.resource.type"].AsString() != "Patient" || root.status != codes.Error || !root.ended || len(root.events) != 1 {
		t.Errorf("%+v", root)
	}
	if decide.attrs["fieldseal.outcome"].AsString() != "denied" || decide.status == codes.Error || !decide.ended {
		t.Errorf("%+v", decide)
	}
}

func TestUnregisteredTypeDoesNotReachASpan(t *testing.T) {
	t.Parallel()
	if a := NewTypes([]string{"Patient"}).Of("Müller-1970"); a.kv.Value.AsString() != "other" {
		t.Errorf("%v", a)
	}
}

func TestNoTracerCostsNothing(t *testing.T) {
	var tr *Tracer
	if New(nil) != tr {
		t.Fatal("a tracer without provider is not nil")
	}
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() {
		c, span := tr.Start(ctx, Read)
		_, step := tr.Step(c, Decide)
		step.Set(Opened(7), Candidates(3))
		step.End(OK)
		span.Access(Access{Receipt: 1})
		span.End(OK)
		_ = span.ID()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestTraceparentOfStrangersIsIgnored(t *testing.T) {
	t.Parallel()
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for _, c := range []struct {
		trusted bool
		parent  string
		want    bool
	}{{true, parent, true}, {false, parent, false}, {true, "garbage", false}, {true, "", false}} {
		ctx := Accept(t.Context(), c.trusted, c.parent)
		if got := oteltrace.SpanContextFromContext(ctx).IsValid(); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

// Strings of a request must not fit any exported function but those that check
// them.
func TestNoFunctionTakesFreeText(t *testing.T) {
	t.Parallel()
	allowed := map[string]bool{"NewTypes": true, "NewRoutes": true, "Of": true, "Accept": true}
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		p, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(p, func(n ast.Node) bool {
			f, ok := n.(*ast.FuncDecl)
			if !ok || !f.Name.IsExported() {
				return true
			}
			seen++
			ast.Inspect(f.Type.Params, func(n ast.Node) bool {
				if id, ok := n.(*ast.Ident); ok && (id.Name == "string" || id.Name == "error" || id.Name == "any") && !allowed[f.Name.Name] {
					t.Errorf("%s takes a free %s", f.Name.Name, id.Name)
				}
				return true
			})
			return true
		})
	}
	if seen < 12 {
		t.Errorf("only %d functions seen", seen)
	}
}

func BenchmarkDisabled(b *testing.B) {
	var tr *Tracer
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		c, span := tr.Start(ctx, Read)
		_, step := tr.Step(c, Decide)
		step.Set(Opened(7))
		step.End(OK)
		span.End(OK)
	}
}
