package testscript

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/fieldseal/fieldseal/fhir"
)

// kind is what an operation code of R4 (valueset-testscript-operation-codes)
// means on the wire.
type kind struct {
	method  string
	suffix  string // after Type/id
	onType  bool   // not on an instance, even when a target is known
	onBase  bool
	hasBody bool
}

var kinds = map[string]kind{
	"read":               {method: http.MethodGet},
	"vread":              {method: http.MethodGet, suffix: "/_history/"},
	"history":            {method: http.MethodGet, suffix: "/_history"},
	"search":             {method: http.MethodGet, onType: true},
	"create":             {method: http.MethodPost, onType: true, hasBody: true},
	"update":             {method: http.MethodPut, hasBody: true},
	"updateCreate":       {method: http.MethodPut, hasBody: true},
	"updateCond":         {method: http.MethodPut, onType: true, hasBody: true},
	"patch":              {method: http.MethodPatch, hasBody: true},
	"delete":             {method: http.MethodDelete},
	"deleteCondSingle":   {method: http.MethodDelete, onType: true},
	"deleteCondMultiple": {method: http.MethodDelete, onType: true},
	"batch":              {method: http.MethodPost, onBase: true, hasBody: true},
	"transaction":        {method: http.MethodPost, onBase: true, hasBody: true},
	"capabilities":       {method: http.MethodGet, onBase: true, suffix: "/metadata"},
}

// kindOf knows every other code as the operation $code.
func kindOf(o *operation) kind {
	k, known := kinds[o.Type.Code]
	if !known && o.Type.Code != "" {
		k = kind{method: http.MethodGet, suffix: "/$" + o.Type.Code}
		if o.SourceID != "" {
			k.method, k.hasBody = http.MethodPost, true
		}
	}
	if k.method == "" {
		k = kind{method: http.MethodGet, hasBody: o.SourceID != ""}
	}
	if o.Method != "" {
		k.method = strings.ToUpper(o.Method)
		k.hasBody = k.hasBody || o.SourceID != "" && k.method != http.MethodGet && k.method != http.MethodHead
	}
	if o.Type.Code == "search" && k.method == http.MethodPost {
		k.suffix = "/_search"
	}
	return k
}

// operate sends the operation's request and keeps the answer.
func (x *run) operate(o *operation) error {
	k := kindOf(o)
	m := &message{method: k.method, header: http.Header{}}
	var err error
	if m.url, err = x.target(o, k); err != nil {
		return err
	}
	if err = x.headers(m, o, k); err != nil {
		return err
	}
	switch {
	case o.Type.Code == "search" && k.method == http.MethodPost:
		target, query, _ := strings.Cut(m.url, "?")
		m.url, m.body = target, []byte(query)
		m.header.Set("Content-Type", "application/x-www-form-urlencoded")
	case k.hasBody || o.SourceID != "" && k.method != http.MethodGet && k.method != http.MethodHead && k.method != http.MethodDelete:
		if err = x.body(m, o); err != nil {
			return err
		}
	}
	answer, err := x.send(m)
	if err != nil {
		return err
	}
	x.lastRequest, x.lastResponse = m, answer
	if o.RequestID != "" {
		x.requests[o.RequestID] = m
	}
	if o.ResponseID != "" {
		x.responses[o.ResponseID] = answer
	}
	return nil
}

// target is the URL of the request (R4 testscript-definitions.html: url, params
// and targetId).
func (x *run) target(o *operation, k kind) (string, error) {
	base := strings.TrimSuffix(x.Base, "/")
	encode := o.EncodeRequestURL == nil || *o.EncodeRequestURL
	if o.URL != "" {
		given, err := x.fill(o.URL)
		if err != nil {
			return "", err
		}
		if !strings.Contains(given, "://") {
			given = base + "/" + strings.TrimPrefix(given, "/")
		}
		return escaped(given, encode), nil
	}
	params, err := x.fill(o.Params)
	if err != nil {
		return "", err
	}
	path, query, _ := strings.Cut(params, "?")
	if path != "" && !strings.HasPrefix(path, "/") {
		if strings.ContainsAny(path, "=&") && query == "" { // a query without its question mark
			path, query = "", path
		} else {
			path = "/" + path
		}
	}
	place, err := x.place(o, k, path)
	if err != nil {
		return "", err
	}
	if query != "" {
		place += "?" + query
	}
	return escaped(base+place, encode), nil
}

// place is the path below the base.
func (x *run) place(o *operation, k kind, params string) (string, error) {
	switch {
	case k.onBase && k.suffix != "":
		return k.suffix, nil
	case k.onBase:
		return params, nil
	case params != "": // the script says where, but for the operation's name
		place := "/" + o.Resource + params
		if o.Resource == "" {
			place = params
		}
		if k.suffix != "" && !strings.Contains(params, k.suffix) {
			place += k.suffix
		}
		return place, nil
	case k.onType || o.TargetID == "" && (o.SourceID == "" || k.method == http.MethodPost):
		if o.Resource == "" && o.SourceID != "" {
			m, err := x.source(o.SourceID, nil)
			if err != nil {
				return "", err
			}
			t, err := m.tree()
			if err != nil {
				return "", err
			}
			resourceType, _ := t["resourceType"].(string)
			return "/" + resourceType + k.suffix, nil
		}
		if o.Resource == "" {
			return k.suffix, nil
		}
		return "/" + o.Resource + k.suffix, nil
	}
	m, err := x.source(first(o.TargetID, o.SourceID), nil)
	if err != nil {
		return "", err
	}
	resourceType, id, version, err := m.identity()
	if err != nil {
		return "", err
	}
	place := "/" + resourceType + "/" + id + k.suffix
	if o.Type.Code == "vread" {
		if version == "" {
			return "", errors.New("the target names no version")
		}
		place += version
	}
	return place, nil
}

// escaped percent-encodes what a URL cannot hold; with encode also what the
// script wrote raw and has a meaning in a query.
func escaped(target string, encode bool) string {
	place, query, has := strings.Cut(target, "?")
	var b strings.Builder
	if u, err := url.Parse(place); err == nil {
		b.WriteString(u.String())
	} else {
		b.WriteString(place)
	}
	if !has {
		return b.String()
	}
	b.WriteByte('?')
	for i, pair := range strings.Split(query, "&") {
		if i > 0 {
			b.WriteByte('&')
		}
		name, value, given := strings.Cut(pair, "=")
		b.WriteString(keep(name))
		if given {
			b.WriteByte('=')
			if plain, err := url.QueryUnescape(value); encode && err == nil && !strings.Contains(value, "%") && !strings.Contains(value, "+") {
				b.WriteString(url.QueryEscape(plain))
			} else {
				b.WriteString(keep(value))
			}
		}
	}
	return b.String()
}

// keep escapes only bytes that no URL may hold.
func keep(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if c := text[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`"<>\^{}#`+"`", c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func (x *run) headers(m *message, o *operation, k kind) error {
	switch o.Accept {
	case "":
		m.header.Set("Accept", "application/fhir+json")
	case "none":
	default:
		m.header.Set("Accept", mediaType(o.Accept))
	}
	if k.hasBody || o.SourceID != "" {
		media := mediaType(o.ContentType)
		if media == "" || media == "none" {
			media = "application/fhir+json"
			if k.method == http.MethodPatch {
				media = "application/json-patch+json"
			}
		}
		m.header.Set("Content-Type", media)
	}
	for _, h := range o.RequestHeader {
		value, err := x.fill(h.Value)
		if err != nil {
			return err
		}
		m.header.Set(h.Field, value)
	}
	return nil
}

// body is the source with its variables filled in.
func (x *run) body(m *message, o *operation) error {
	if o.SourceID == "" {
		if m.method == http.MethodPost || m.method == http.MethodPut || m.method == http.MethodPatch {
			m.body = []byte{}
		}
		return nil
	}
	source, err := x.source(o.SourceID, nil)
	if err != nil {
		return err
	}
	if wantXML := sameMedia(m.header.Get("Content-Type"), "xml"); wantXML != source.isXML() && (wantXML || sameMedia(m.header.Get("Content-Type"), "json")) {
		return skip("the source is in another format than the operation sends")
	}
	text, err := x.fill(string(source.body))
	if err != nil {
		return err
	}
	m.body = []byte(text)
	if m.method == http.MethodPut {
		m.body = alignID(m.body, m.url)
	}
	return nil
}

// alignID gives the body of an update the id of its URL: a server must refuse
// other ids (R4 http.html#update), and R4's own example scripts update one
// patient with the fixture of another.
func alignID(body []byte, target string) []byte {
	_, id, _, ok := fromURL(target)
	r, err := fhir.Parse(body, fhir.DefaultLimits)
	if !ok || err != nil || r.ID() == id || r.ID() == "" {
		return body
	}
	r.SetID(id)
	return r.AppendJSON(nil)
}
