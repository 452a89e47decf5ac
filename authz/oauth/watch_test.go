package oauth_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	oteltrace "go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"go.opentelemetry.io/otel/attribute"

	"github.com/fieldseal/fieldseal/audit/trace"
	"github.com/fieldseal/fieldseal/authz/client"
	"github.com/fieldseal/fieldseal/authz/oauth"
	"github.com/fieldseal/fieldseal/authz/token"
	"github.com/fieldseal/fieldseal/internal/limit"
)

func from(address string) func(*http.Request) {
	return func(r *http.Request) { r.RemoteAddr = address + ":4711" }
}

// One network that asks too often is slowed down, whatever it asks for, and no
// other is.
func TestNetworkThatAsksTooOftenWaits(t *testing.T) {
	t.Parallel()
	n := open(t, newTables(), func(o *oauth.Options) { o.PerNetwork = limit.Limit{Rate: 0.5, Burst: 4} })
	n.app("app", client.Public)
	bearer := n.launchable("launched") // one request, of the network of httptest
	for _, path := range []string{"/token", "/introspect", "/revoke"} {
		if a := n.post(path, nil, from("198.51.100.7")); a.status == http.StatusTooManyRequests {
			t.Fatalf("%s is slowed at once", path)
		}
	}
	n.call(bearer, goodLaunch, from("198.51.100.9")) // the fourth, from a neighbour
	slowed := func(name string, a answer) {
		t.Helper()
		n.refused(name, a, http.StatusTooManyRequests, "temporarily_unavailable")
		if a.header.Get("Retry-After") != "2" {
			t.Errorf("%s: Retry-After %q", name, a.header.Get("Retry-After"))
		}
	}
	for _, path := range []string{"/token", "/introspect", "/revoke"} {
		slowed(path, n.post(path, nil, from("198.51.100.8")))
	}
	slowed("/launch", n.call(bearer, goodLaunch, from("198.51.100.8")))
	authorize := func(address string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, oauth.Path+"/authorize?"+authorizeQuery("app", "user/*.rs").Encode(), nil)
		from(address)(r)
		return n.do(r)
	}
	if w := authorize("198.51.100.8"); w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "2" || w.Header().Get("Location") != "" {
		t.Errorf("authorize: %d %v", w.Code, w.Header())
	}
	if w := authorize("203.0.113.1"); w.Code != http.StatusSeeOther {
		t.Errorf("another network: %d", w.Code)
	}
	if !slices.Contains(n.rec.preAuth, "throttled") {
		t.Error("no count of it")
	}
	n.clock.Advance(2 * time.Second)
	if w := authorize("198.51.100.8"); w.Code != http.StatusSeeOther {
		t.Errorf("after the wait: %d", w.Code)
	}
}

// A client has its own share, which others cannot use up by its name.
func TestClientThatAsksTooOftenWaits(t *testing.T) {
	t.Parallel()
	n := open(t, newTables(), func(o *oauth.Options) {
		o.Limits = limit.Limits{Clients: map[string]limit.Limit{"lab": {Rate: 1, Burst: 2}}}
	})
	n.service("lab", bothKeys()...)
	n.service("free", bothKeys()...)
	ask := func(id string) answer {
		return n.post("/token", serviceForm(n.goodAssertion(id).sign(t), "system/Patient.r"))
	}
	for range 5 {
		bad := n.goodAssertion("lab")
		bad.key = p256Key()
		bad.alg = "ES256"
		n.refused("a stranger in its name", n.post("/token", serviceForm(bad.sign(t), "system/Patient.r")), http.StatusUnauthorized, "invalid_client")
	}
	for range 2 {
		if a := ask("lab"); a.status != http.StatusOK {
			t.Fatalf("%d %v", a.status, a.body)
		}
	}
	a := ask("lab")
	n.refused("the third", a, http.StatusTooManyRequests, "temporarily_unavailable")
	if a.header.Get("Retry-After") != "1" {
		t.Error(a.header)
	}
	if a := ask("free"); a.status != http.StatusOK {
		t.Errorf("another client: %d %v", a.status, a.body)
	}
}

// spans keeps names and attributes of spans.
type spans struct {
	noop.TracerProvider
	mu  sync.Mutex
	all []*span
}

type span struct {
	noop.Span
	name string
	kvs  []attribute.KeyValue
}

func (s *spans) Tracer(string, ...oteltrace.TracerOption) oteltrace.Tracer { return tracer{s: s} }

type tracer struct {
	noop.Tracer
	s *spans
}

func (t tracer) Start(ctx context.Context, name string, _ ...oteltrace.SpanStartOption) (context.Context, oteltrace.Span) {
	x := &span{name: name}
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	t.s.all = append(t.s.all, x)
	return oteltrace.ContextWithSpan(ctx, x), x
}

func (s *span) IsRecording() bool                       { return true }
func (s *span) SetAttributes(kvs ...attribute.KeyValue) { s.kvs = append(s.kvs, kvs...) }

// ADR 0011: a span of the authorization server says which endpoint and how it
// ended, and nothing of the request.
func TestSpansNameEndpointAndOutcomeOnly(t *testing.T) {
	t.Parallel()
	kept := &spans{}
	n := open(t, newTables(), func(o *oauth.Options) { o.Tracer = trace.New(kept) })
	n.app("app", client.Public)
	bearer := n.launchable("launched")
	got := n.granted("app", appScopes)
	n.post("/token", redemption("app", "fsc_wrong"))
	n.post("/introspect", map[string][]string{"client_id": {"app"}, "token": {got.text("access_token")}})
	n.post("/revoke", map[string][]string{"client_id": {"app"}, "token": {got.text("refresh_token")}})
	n.call(bearer, strings.Replace(goodLaunch, `"app"`, `"launched"`, 1))
	n.call(token.Draw(token.Prefix), goodLaunch)
	q := authorizeQuery("app", "user/*.rs")
	q.Del("state")
	n.authorize(q)
	var seen []string
	for _, s := range kept.all {
		if len(s.kvs) != 1 || s.kvs[0].Key != "fieldseal.outcome" {
			t.Errorf("%s has %v", s.name, s.kvs)
			continue
		}
		seen = append(seen, strings.TrimPrefix(s.name, "oauth.")+":"+s.kvs[0].Value.AsString())
	}
	want := "token:ok authorize:ok token:ok token:invalid introspect:invalid revoke:ok launch:ok launch:denied authorize:invalid"
	if strings.Join(seen, " ") != want {
		t.Errorf("%v", seen)
	}
}
