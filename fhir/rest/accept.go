package rest

import (
	"mime"
	"strconv"
	"strings"
)

// preference is one element of an Accept, Accept-Charset or Accept-Encoding
// list (RFC 9110 §12.4.2, §12.5).
type preference struct {
	value   string // lower case
	params  map[string]string
	quality float64
}

// preferences reads such a list. Elements that cannot be read are left out.
func preferences(header string) []preference {
	var out []preference
	for _, part := range splitList(header) {
		value, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		p := preference{value: value, params: params, quality: 1}
		if q, given := params["q"]; given {
			if p.quality, err = strconv.ParseFloat(q, 64); err != nil || !(p.quality >= 0 && p.quality <= 1) {
				continue
			}
		}
		out = append(out, p)
	}
	return out
}

// splitList cuts a list at its commas, but not inside quoted strings.
func splitList(header string) (parts []string) {
	quoted, from := false, 0
	for i := 0; i < len(header); i++ {
		switch {
		case quoted && header[i] == '\\':
			i++
		case header[i] == '"':
			quoted = !quoted
		case header[i] == ',' && !quoted:
			parts, from = append(parts, header[from:i]), i+1
		}
	}
	parts = append(parts, header[from:])
	kept := parts[:0]
	for _, p := range parts {
		if p = strings.TrimSpace(p); p != "" {
			kept = append(kept, p)
		}
	}
	return kept
}

// qualityOf is the quality that the most specific matching element gives to a
// value; zero when none matches. ranges are less and less specific forms that
// match it too.
func qualityOf(prefs []preference, fits func(preference) bool, value string, ranges ...string) (float64, preference) {
	for _, form := range append([]string{value}, ranges...) {
		best, found := preference{quality: -1}, false
		for _, p := range prefs {
			if p.value == form && fits(p) && p.quality > best.quality {
				best, found = p, true
			}
		}
		if found {
			return best.quality, best
		}
	}
	return 0, preference{}
}

// fhirVersion is the value of the MIME-type parameter for R4 (R4
// http.html#version-parameter).
const fhirVersion = "4.0"

// jsonTypes are the media types under which JSON is answered, the preferred
// one first (R4 http.html#mime-type: generic types are answered in kind).
var jsonTypes = []string{"application/fhir+json", "application/json", "text/json", "application/json+fhir"}

// speaks reports whether a media range asks for what every answer is: R4 in
// UTF-8.
func speaks(p preference) bool {
	charset, has := p.params["charset"]
	version, versioned := p.params["fhirversion"]
	return (!has || strings.EqualFold(charset, "utf-8")) && (!versioned || version == fhirVersion || version == "4.0.1")
}

// chooseMedia is the Content-Type that an Accept header gets, or nothing when
// it accepts no JSON.
func chooseMedia(accept string) (contentType string, ok bool) {
	prefs := preferences(accept)
	var best float64
	for _, media := range jsonTypes {
		ranges := []string{"application/*", "*/*"}
		if media != jsonTypes[0] { // offered to whom names it
			ranges = nil
		}
		q, p := qualityOf(prefs, speaks, media, ranges...)
		if media == jsonTypes[0] && p.value == "" { // "json" is no media type but means one
			q, p = qualityOf(prefs, speaks, "json")
		}
		if q > best {
			best, contentType, ok = q, media, true
			if _, versioned := p.params["fhirversion"]; versioned {
				contentType += "; fhirVersion=" + fhirVersion
			}
		}
	}
	return contentType + "; charset=utf-8", ok
}

// acceptsUTF8 judges Accept-Charset (R4 http.html#mime-type: all bodies are
// UTF-8).
func acceptsUTF8(header string) bool {
	if header == "" {
		return true
	}
	q, _ := qualityOf(preferences(header), anyParams, "utf-8", "*")
	return q > 0
}

// chooseCoding is the content coding that an Accept-Encoding header gets;
// empty for none.
func chooseCoding(header string) string {
	if header == "" {
		return ""
	}
	prefs := preferences(header)
	gzip, _ := qualityOf(prefs, anyParams, "gzip", "x-gzip", "*")
	deflate, _ := qualityOf(prefs, anyParams, "deflate", "*")
	switch {
	case gzip > 0 && gzip >= deflate:
		return "gzip"
	case deflate > 0:
		return "deflate"
	}
	return ""
}

func anyParams(preference) bool { return true }
