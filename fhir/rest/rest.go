// Package rest is the FHIR REST face: HTTP in, interactions out (R4 http.html).
//
// Start with New and routes.go: the one table from which both gin's routes and
// the CapabilityStatement are made, so that the server cannot claim what it
// does not serve. A handler turns a request into an interaction.Call and can
// write nothing but a released *interaction.Answer or an OperationOutcome that
// holds no element value.
//
// Security notes: every request below the base needs a bearer token but
// metadata and the OpenAPI document; before authentication nothing of the body
// is read. Paths with escapes, dot segments or parameters are refused before
// routing (abuse 18).
// X-Forwarded-For, X-HTTP-Method-Override and the like are ignored.
package rest

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/fieldseal/fieldseal/audit/trace"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/fhir/interaction"
	"github.com/fieldseal/fieldseal/internal/limit"
)

// Defaults of Options.
const (
	DefaultTimeout       = 30 * time.Second
	DefaultBodyBytes     = 8 << 20  // of one resource
	DefaultBundleBytes   = 64 << 20 // of a batch or transaction
	DefaultBundleBudget  = 256 << 20
	DefaultBundleTimeout = 5 * time.Minute
)

// Authenticator turns a bearer token into a subject. Its errors say 401, but
// for ErrUnavailable of the layers below.
type Authenticator interface {
	Verify(ctx context.Context, bearer, address string) (authz.Subject, error)
}

// Gatekeeper records what fails before authentication, aggregated per peer so
// that garbage cannot fill the trail (decision 35).
type Gatekeeper interface {
	RecordPreAuth(peer, reason string)
}

// Options configure a Handler. Service, Authenticator, Gatekeeper, Metadata
// and OpenAPI are required.
type Options struct {
	Service       *interaction.Service
	Authenticator Authenticator
	Gatekeeper    Gatekeeper
	// Metadata is the CapabilityStatement.
	Metadata []byte
	// OpenAPI is the OpenAPI document.
	OpenAPI []byte
	// Ready reports why patient data cannot be served; nil when it can.
	Ready func(ctx context.Context) error
	// Note is what a ready server wants operators to know; nil or empty: nothing.
	Note func() string
	// Unauthorized reports whether an error of Verify means a bad token (401);
	// every other error is a fault of the server (503).
	Unauthorized func(error) bool

	// TrustedProxies are believed when they name the caller and its trace.
	TrustedProxies []netip.Prefix
	// Origins are the web origins whose scripts may read answers, as browsers
	// send them (https://app.example).
	Origins []string
	// Allows reports whether scripts of another origin may; nil allows none.
	Allows func(r *http.Request, origin string) bool
	Limits limit.Limits

	Prefix        string // path of the FHIR base, such as /fhir
	BodyBytes     int
	BundleBytes   int
	Timeout       time.Duration
	BundleTimeout time.Duration
	Log           *slog.Logger
}

// Handler serves the FHIR base, /healthz and /readyz.
type Handler struct {
	Options
	engine  *gin.Engine
	meter   *meter
	budget  chan struct{}
	large   chan struct{} // bodies beyond firstRead
	opens   chan struct{} // large records that are read
	limiter *limit.Limiter
	open    map[string]bool // paths that need no token
	spans   *trace.Registered
}

// New returns the handler; it panics when a required part is missing, which is
// a wiring error.
func New(o Options) *Handler {
	if o.Service == nil || o.Authenticator == nil || o.Gatekeeper == nil || len(o.Metadata) == 0 || len(o.OpenAPI) == 0 || o.Ready == nil || o.Unauthorized == nil {
		panic("rest: a required part is missing")
	}
	h := &Handler{Options: o, meter: newMeter(), budget: make(chan struct{}, bundlesAtOnce(o.BundleBytes)),
		large: make(chan struct{}, largeAtOnce(o.BodyBytes)), opens: make(chan struct{}, largeAtOnce(o.BodyBytes)),
		limiter: limit.New(o.Limits), open: map[string]bool{openAPIPath: true}}
	gin.SetMode(gin.ReleaseMode)
	h.engine = gin.New()
	h.engine.HandleMethodNotAllowed = false // gin's own search for other methods can panic; noRoute does it
	h.engine.RedirectTrailingSlash = false
	h.engine.ForwardedByClientIP = false
	h.engine.NoRoute(h.noRoute)
	h.engine.Use(h.recovered, h.measured, h.identified, h.cors, h.documents, h.operations)
	for path, probe := range map[string]gin.HandlerFunc{"/healthz": func(c *gin.Context) { c.Status(http.StatusOK) }, "/readyz": h.ready, openAPIPath: h.openAPI} {
		h.engine.GET(path, probe)
		h.engine.HEAD(path, probe)
	}
	var templates []string
	base := h.engine.Group(o.Prefix)
	for _, r := range routes {
		for _, method := range r.methods {
			base.Handle(method, r.path, h.handle(r))
		}
		if r.open != nil {
			h.open[o.Prefix+r.path] = true
		}
		templates = append(templates, o.Prefix+r.path)
	}
	h.spans = trace.NewRoutes(templates)
	return h
}

// bundlesAtOnce bounds the memory of concurrent Bundles.
func bundlesAtOnce(bundleBytes int) int { return max(1, DefaultBundleBudget/max(1, bundleBytes)) }

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if len(r.TransferEncoding) > 0 {
		// net/http lets Transfer-Encoding win and forgets that a Content-Length
		// came too; what follows on the connection is not trusted (RFC 9112 §6.3).
		w.Header().Set("Connection", "close")
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // that of the answer before, on this connection
	if reason := badTarget(r); reason != "" {
		h.refuseTarget(w, reason)
		return
	}
	h.engine.ServeHTTP(w, withoutSlash(r))
}

// withoutSlash takes one slash from the end of the path: clients join base and
// path in either way.
func withoutSlash(r *http.Request) *http.Request {
	path, cut := strings.CutSuffix(r.URL.Path, "/")
	if !cut || path == "" {
		return r
	}
	out, target := *r, *r.URL
	target.Path, target.RawPath = path, ""
	out.URL = &target
	return &out
}

func (h *Handler) ready(c *gin.Context) {
	if err := h.Ready(c.Request.Context()); err != nil {
		c.Header("Retry-After", retryAfter)
		h.outcome(c, http.StatusServiceUnavailable, "transient", "not ready: "+publicReason(err))
		return
	}
	if h.Note != nil {
		if note := h.Note(); note != "" {
			c.String(http.StatusOK, "%s\n", note)
			return
		}
	}
	c.Status(http.StatusOK)
}

// publicReason is what readiness tells: the class of trouble, no detail.
func publicReason(err error) string {
	var f *interaction.Failure
	if errors.As(err, &f) {
		return f.Error()
	}
	return "the store, the key service or the audit trail does not answer"
}
