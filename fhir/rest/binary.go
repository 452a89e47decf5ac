package rest

import (
	"bytes"
	"cmp"
	"errors"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/interaction"
)

// A Binary may be sent and fetched as the bytes that it is (R4
// binary.html#rest). What comes out as it was sent could be a page with
// scripts, so that browsers are told to keep it and to run nothing of it.

// octets is the media type of bytes that came without one (RFC 9110 §8.3).
const octets = "application/octet-stream"

// isBinary reports whether a request is about a Binary by a route that has a
// form without FHIR.
func (r route) isBinary(c *gin.Context) bool { return r.content && c.Param("type") == "Binary" }

// sendsContent reports whether the body is the bytes of a Binary.
func (r route) sendsContent(c *gin.Context) bool {
	writes := c.Request.Method == http.MethodPost || c.Request.Method == http.MethodPut
	return writes && r.isBinary(c) && !fhirMedia(c.GetHeader("Content-Type"))
}

// wantsContent reports whether a reader wants the bytes: who wants FHIR names
// its media type (R4 binary.html#rest).
func (r route) wantsContent(c *gin.Context) bool {
	reads := c.Request.Method == http.MethodGet || c.Request.Method == http.MethodHead
	if !reads || !r.isBinary(c) || parameter(c.Request.URL.RawQuery, "_format") != "" {
		return false
	}
	accept := strings.ToLower(strings.Join(c.Request.Header.Values("Accept"), ","))
	return !strings.Contains(accept, "fhir+json") && !strings.Contains(accept, "json+fhir")
}

// contentBytes is how large the bytes may be, so that their JSON form is a
// resource of at most limit bytes.
func contentBytes(limit int) int { return max(0, (limit-4096)/4*3) }

// asResource makes the JSON form of what was sent, or answers 415 or 400.
func (h *Handler) asResource(c *gin.Context, body []byte) ([]byte, bool) {
	contentType, context := cmp.Or(c.GetHeader("Content-Type"), octets), c.GetHeader("X-Security-Context")
	if !strings.Contains(mediaType(contentType), "/") {
		h.outcome(c, http.StatusUnsupportedMediaType, "not-supported", "the Content-Type is no media type")
		return nil, false
	}
	if ref, ok := fhir.ParseReference(context); context != "" && (!ok || ref.ID == "" || ref.Fragment != "") {
		h.outcome(c, http.StatusBadRequest, "invalid", "X-Security-Context must be a reference to a resource, such as Patient/1")
		return nil, false
	}
	return interaction.BinaryResource(c.Param("id"), contentType, context, body), true
}

// content writes the bytes of a Binary, or the range of them that was asked
// for.
func (h *Handler) content(c *gin.Context, a *interaction.Answer) {
	media, data, err := a.Content()
	switch {
	case errors.Is(err, interaction.ErrHiddenContent):
		h.outcome(c, http.StatusForbidden, "forbidden", "the caller may not see the content; what may be seen is there as application/fhir+json")
		return
	case err != nil:
		h.outcome(c, http.StatusNotAcceptable, "not-supported", "the content is no base64; it is there as application/fhir+json only")
		return
	}
	header := c.Writer.Header()
	if !strings.Contains(mediaType(media), "/") {
		media = octets
	}
	header.Set("Content-Type", media)
	header.Set("Content-Disposition", "attachment")
	header.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	header.Set("Cache-Control", "no-store")
	header.Add("Vary", "Accept")
	if tag := a.ETag(); tag != "" {
		header.Set("ETag", tag)
	}
	r := c.Request.Clone(c.Request.Context())
	r.Header = http.Header{}
	for _, name := range [...]string{"Range", "If-Range"} { // the other conditions were evaluated on the resource
		r.Header[name] = c.Request.Header[name]
	}
	http.ServeContent(c.Writer, r, "", a.LastModified(), bytes.NewReader(data))
}
