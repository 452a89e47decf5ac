package rest

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/fieldseal/fieldseal/audit/trace"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/authz/token"
	"github.com/fieldseal/fieldseal/fhir/interaction"
)

// badTarget tells why a request target is refused before routing: FHIR paths
// need no escape, dot segment, empty segment or path parameter (abuse 18).
func badTarget(r *http.Request) string {
	path := r.URL.EscapedPath()
	switch {
	case r.Method == http.MethodConnect || r.Method == http.MethodTrace:
		return "method"
	case strings.ContainsAny(path, `%;\`), strings.Contains(path, "//"), strings.Contains(path, "/.."), strings.Contains(path, "/./"):
		return "path"
	case len(r.Header.Values("Authorization")) > 1:
		return "authorization"
	case strings.Contains(r.URL.RawQuery, "access_token"):
		return "query token"
	}
	return ""
}

var targetTexts = map[string]string{
	"path":          "the path holds an escape, an empty or a dot segment",
	"authorization": "more than one Authorization header",
	"query token":   "a token in the query string is refused and must be considered lost: revoke it",
	"method":        "this method is not served here",
}

// authenticate makes the Call of the request, or answers 401. It looks at no
// byte of the body.
func (h *Handler) authenticate(c *gin.Context) (interaction.Call, bool) {
	peer := h.Peer(c.Request)
	header := c.GetHeader("Authorization")
	scheme, bearer, _ := strings.Cut(header, " ")
	if header == "" || !strings.EqualFold(scheme, "Bearer") || bearer == "" {
		h.Gatekeeper.RecordPreAuth(peer, "no-token")
		c.Header("WWW-Authenticate", `Bearer realm="fhir"`)
		h.outcome(c, http.StatusUnauthorized, "login", "a bearer token is needed")
		return interaction.Call{}, false
	}
	subject, err := h.Authenticator.Verify(c.Request.Context(), bearer, peer)
	if err != nil || !subject.Valid() {
		if err != nil && !h.Unauthorized(err) {
			h.failed(c, err)
			return interaction.Call{}, false
		}
		h.Gatekeeper.RecordPreAuth(peer, token.Reason(err))
		c.Header("WWW-Authenticate", `Bearer realm="fhir", error="invalid_token"`)
		h.outcome(c, http.StatusUnauthorized, "login", "the token is unknown, expired or revoked")
		return interaction.Call{}, false
	}
	if !h.admitted(c, subject, peer) {
		return interaction.Call{}, false
	}
	subject, ok := h.acting(c, subject, peer)
	if !ok {
		return interaction.Call{}, false
	}
	call := interaction.Call{Subject: subject, RequestID: c.GetString(requestID), Route: h.spans.Of(c.FullPath()),
		IfMatch: c.GetHeader("If-Match"), IfNoneMatch: c.GetHeader("If-None-Match"),
		IfNoneExist: strings.TrimPrefix(c.GetHeader("If-None-Exist"), "?")}
	if keys := c.Request.Header.Values("X-Idempotency-Key"); c.Request.Method == http.MethodPost && len(keys) > 0 {
		if len(keys) > 1 || keys[0] == "" {
			h.outcome(c, http.StatusBadRequest, "invalid", "X-Idempotency-Key must stand once and not be empty")
			return interaction.Call{}, false
		}
		call.IdempotencyKey = keys[0]
	}
	if since := c.GetHeader("If-Modified-Since"); since != "" {
		call.IfModifiedSince, _ = http.ParseTime(since) // RFC 9110 §13.1.3: ignored when invalid
	}
	return call, true
}

// purposeHeader names the purpose of use of one request (a code of v3-ActReason).
// It chooses among those that the token allows and can add none.
const purposeHeader = "X-Purpose-Of-Use"

// acting is the subject for the purpose that the request names, or answers 400
// or 403.
func (h *Handler) acting(c *gin.Context, s authz.Subject, peer string) (authz.Subject, bool) {
	values := c.Request.Header.Values(purposeHeader)
	switch {
	case len(values) == 0:
		return s, true
	case len(values) > 1 || values[0] == "":
		h.outcome(c, http.StatusBadRequest, "invalid", purposeHeader+" must stand once and not be empty")
		return authz.Subject{}, false
	}
	narrowed, ok := s.For(values[0])
	if !ok {
		h.Gatekeeper.RecordPreAuth(peer, "purpose")
		h.outcome(c, http.StatusForbidden, "forbidden", "the token does not allow this purpose of use")
	}
	return narrowed, ok
}

// Peer is the address of the caller. Only a listed proxy is believed when it
// says whom it speaks for, and only its own last hop (abuse 17).
func (h *Handler) Peer(r *http.Request) string {
	addr, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return "unknown"
	}
	if !h.trusted(addr.Addr()) {
		return addr.Addr().Unmap().String()
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",") // a proxy may add a line of its own
	if client, err := netip.ParseAddr(strings.TrimSpace(hops[len(hops)-1])); err == nil {
		return client.Unmap().String()
	}
	return addr.Addr().Unmap().String()
}

func (h *Handler) trusted(a netip.Addr) bool {
	return slices.ContainsFunc(h.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(a.Unmap()) })
}

// traced takes over the trace of a listed proxy; nobody else may choose what
// our spans hang on.
func (h *Handler) traced(c *gin.Context) {
	header := c.GetHeader("traceparent")
	if header == "" || len(h.TrustedProxies) == 0 {
		return
	}
	addr, err := netip.ParseAddrPort(c.Request.RemoteAddr)
	ctx := trace.Accept(c.Request.Context(), err == nil && h.trusted(addr.Addr()), header)
	c.Request = c.Request.WithContext(ctx)
}

// deadline bounds the interaction in time.
func (h *Handler) deadline(c *gin.Context, r route) context.CancelFunc {
	d := h.Timeout
	if r.bundle || r.operation {
		d = h.BundleTimeout
	}
	ctx, cancel := context.WithTimeout(c.Request.Context(), max(d, time.Second))
	c.Request = c.Request.WithContext(ctx)
	return cancel
}

// body reads the request's resource, or answers 415, 413 or 400.
func (h *Handler) body(c *gin.Context, r route) (body []byte, release func(), ok bool) {
	accepts, media := fhirMedia, "application/fhir+json"
	switch {
	case r.form:
		accepts, media = formMedia, "application/x-www-form-urlencoded"
	case r.patch:
		accepts, media = patchMedia, patchFormats
	case r.sendsContent(c):
		accepts = func(string) bool { return true } // what it is stands in the header
	case r.operation && c.Request.ContentLength == 0:
		accepts = func(string) bool { return true } // its parameters may stand in the URL
	}
	if len(c.Request.Header.Values("Content-Type")) > 1 || !accepts(c.GetHeader("Content-Type")) {
		if r.patch {
			c.Header("Accept-Patch", patchFormats) // RFC 5789 §2.2
		}
		h.outcome(c, http.StatusUnsupportedMediaType, "not-supported", "the Content-Type must be "+media)
		return nil, nil, false
	}
	limit, release := h.BodyBytes, func() {}
	switch {
	case r.form:
		limit = maxForm
	case r.sendsContent(c):
		limit = contentBytes(limit)
	}
	if r.bundle {
		limit = h.BundleBytes
		select {
		case h.budget <- struct{}{}:
			release = func() { <-h.budget }
		case <-c.Request.Context().Done():
			h.failed(c, c.Request.Context().Err())
			return nil, nil, false
		}
	} else { // a client that trickles is cut off (abuse 20); a Bundle has the server's read timeout
		h.readSoon(c)
	}
	grows := func() error { return nil }
	if !r.bundle {
		t := &turn{slots: h.large}
		release, grows = t.Done, func() error {
			err := t.Take(c.Request.Context())
			h.readSoon(c)
			return err
		}
	}
	if body, err := readBody(c.Request, limit, grows); err != nil {
		h.badBody(c, err)
	} else if !r.sendsContent(c) {
		return body, release, true
	} else if body, ok := h.asResource(c, body); ok {
		return body, release, true
	}
	release()
	return nil, nil, false
}

func (h *Handler) readSoon(c *gin.Context) {
	_ = http.NewResponseController(c.Writer).SetReadDeadline(time.Now().Add(max(h.Timeout, time.Second)))
}

var (
	errBodyTooLarge = errors.New("body exceeds the limit")
	errEncoding     = errors.New("content encoding is not supported")
)

// firstRead holds all but large Bundles without growing.
const firstRead = 256 << 10

// maxPiece bounds what a body that grows makes the server allocate at once.
const maxPiece = 4 << 20

// readBody reads at most limit bytes after decompression, so that a gzip bomb
// costs no more than an honest body (abuse 9). It asks grows once before it holds
// more than firstRead.
func readBody(r *http.Request, limit int, grows func() error) ([]byte, error) {
	if r.ContentLength > int64(limit) {
		return nil, errBodyTooLarge
	}
	in, err := decompress(r.Header.Get("Content-Encoding"), r.Body, limit)
	if err != nil {
		return nil, err
	}
	size := 4 << 10
	if r.ContentLength > 0 { // a length alone makes nobody reserve a limit's worth of memory
		size = int(min(r.ContentLength, firstRead)) + 1
	}
	return readAll(in, size, limit, grows)
}

// readAll reads to the end in pieces, size bytes first, so that what is refused
// at its limit was never copied.
func readAll(in io.Reader, size, limit int, grows func() error) ([]byte, error) {
	var full [][]byte
	total, b, asked := 0, make([]byte, 0, size), false
	for {
		n, err := in.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case total+len(b) > limit:
			return nil, errBodyTooLarge
		case err == io.EOF && full == nil:
			return b, nil
		case err == io.EOF:
			return slices.Concat(append(full, b)...), nil
		case err != nil:
			return nil, err
		case len(b) == cap(b):
			if asked, err = grown(total+len(b), asked, grows); err != nil {
				return nil, err
			}
			full, total = append(full, b), total+len(b)
			b = make([]byte, 0, min(2*cap(b), maxPiece))
		}
	}
}

// grown asks for leave when more than firstRead is going to be held.
func grown(n int, asked bool, grows func() error) (bool, error) {
	if asked || n < firstRead {
		return asked, nil
	}
	return true, grows()
}

func (h *Handler) badBody(c *gin.Context, err error) {
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		h.failed(c, err)
	case errors.Is(err, errBodyTooLarge):
		c.Header("Connection", "close")
		h.outcome(c, http.StatusRequestEntityTooLarge, "too-long", "the body exceeds the limit of this server")
	case errors.Is(err, errEncoding):
		h.outcome(c, http.StatusUnsupportedMediaType, "not-supported", "the Content-Encoding must be gzip, deflate or absent")
	default:
		h.outcome(c, http.StatusBadRequest, "invalid", "the body could not be read to its end")
	}
}

func fhirMedia(header string) bool {
	if header == "application/fhir+json" {
		return true
	}
	media, params, err := mime.ParseMediaType(header)
	if err != nil || !slices.Contains(jsonTypes, media) {
		return false
	}
	return speaks(preference{params: params})
}

// PatchFormats are the media types of patches: JSON Patch, and Parameters with
// a FHIRPath Patch (R4 http.html#patch).
var PatchFormats = []string{interaction.JSONPatchMedia, "application/fhir+json"}

var patchFormats = strings.Join(PatchFormats, ", ")

func patchMedia(header string) bool {
	return mediaType(header) == interaction.JSONPatchMedia || fhirMedia(header)
}

// mediaType is the type of a header without its parameters.
func mediaType(header string) string {
	media, _, err := mime.ParseMediaType(header)
	if err != nil {
		return ""
	}
	return media
}

// maxForm bounds the body of a search by POST; what a query may hold is less.
const maxForm = 64 << 10

// formMedia accepts a form, and no body at all: its parameters may stand in the
// URL (R4 http.html#search).
func formMedia(header string) bool {
	media, _, err := mime.ParseMediaType(header)
	return header == "" || err == nil && media == "application/x-www-form-urlencoded"
}

// formQuery joins the parameters of the URL and of the form.
func formQuery(c *gin.Context, body []byte) string {
	query := c.Request.URL.RawQuery
	if query != "" && len(body) > 0 {
		query += "&"
	}
	return query + string(body)
}
