package rest

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/fieldseal/fieldseal/fhir/interaction"
)

// format is what the client wants the answer to look like.
type format struct {
	media  string // Content-Type; empty for fhirJSON
	coding string // gzip, deflate or empty
	pretty bool
}

// negotiate reads Accept, Accept-Charset, Accept-Encoding, _format and
// _pretty, or answers 406 (R4 http.html#mime-type, #parameters). query holds
// the parameters of the URL, and of the form when there is one.
func (h *Handler) negotiate(c *gin.Context, query string) (format, bool) {
	f := format{coding: chooseCoding(c.GetHeader("Accept-Encoding")), pretty: parameter(query, "_pretty") == "true"}
	accepted := true
	if asked := parameter(query, "_format"); asked != "" { // overrides Accept
		f.media, accepted = chooseFormat(asked)
	} else if accept := strings.Join(c.Request.Header.Values("Accept"), ","); accept != "" {
		f.media, accepted = chooseMedia(accept)
	}
	switch {
	case !accepted:
		h.outcome(c, http.StatusNotAcceptable, "not-supported", "this server answers application/fhir+json of FHIR version 4.0")
	case !acceptsUTF8(strings.Join(c.Request.Header.Values("Accept-Charset"), ",")):
		h.outcome(c, http.StatusNotAcceptable, "not-supported", "this server answers in UTF-8")
	default:
		return f, true
	}
	return f, false
}

// chooseFormat is the Content-Type for a value of _format; its short and
// generic forms all mean FHIR JSON (R4 http.html#parameters).
func chooseFormat(value string) (contentType string, ok bool) {
	value = strings.ReplaceAll(value, " ", "+") // an unescaped + in a URL
	if _, ok = chooseMedia(value); !ok || strings.Contains(value, "*") {
		return "", false
	}
	if strings.Contains(strings.ToLower(value), "fhirversion") {
		return "application/fhir+json; fhirVersion=" + fhirVersion + "; charset=utf-8", true
	}
	return fhirJSON, true
}

// parameter is the first value of a parameter in a raw query. Unlike
// url.ParseQuery it takes the semicolon of a media type as it comes.
func parameter(query, name string) string {
	if !strings.Contains(query, name) {
		return ""
	}
	for pair := range strings.SplitSeq(query, "&") {
		if key, value, _ := strings.Cut(pair, "="); key == name {
			if value, err := url.QueryUnescape(value); err == nil {
				return value
			}
		}
	}
	return ""
}

var errPrefer = errors.New("unknown preference")

// errAsync refuses what would otherwise be taken for accepted: a client that
// asks for an asynchronous answer waits for a status URL (R4 async.html).
var errAsync = errors.New("asynchronous answer")

// prefer reads Prefer: return (R4 http.html#ops) and handling (R4
// search.html#errors). A Bundle's entries echo their
// resources only when asked to.
func prefer(header string, call *interaction.Call, bundle bool) error {
	if bundle {
		call.Return = interaction.Minimal
	}
	for _, p := range strings.FieldsFunc(header, func(r rune) bool { return r == ',' || r == ';' }) {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		value = strings.ToLower(strings.Trim(value, `"`))
		switch strings.ToLower(name) {
		case "respond-async":
			return errAsync
		case "handling":
			if call.Lenient = value == "lenient"; !call.Lenient && value != "strict" {
				return errPrefer
			}
		case "return":
			switch value {
			case "minimal":
				call.Return = interaction.Minimal
			case "representation":
				call.Return = interaction.Representation
			case "operationoutcome":
				call.Return = interaction.Outcome
			default:
				return errPrefer
			}
		}
	}
	return nil
}

// badPreference answers a Prefer header that cannot be followed.
func (h *Handler) badPreference(c *gin.Context, err error) {
	if errors.Is(err, errAsync) {
		h.outcome(c, http.StatusBadRequest, "not-supported", "Prefer: respond-async is not served; every request is answered at once")
		return
	}
	h.outcome(c, http.StatusBadRequest, "invalid", "Prefer: return must be minimal, representation or OperationOutcome; handling strict or lenient")
}
