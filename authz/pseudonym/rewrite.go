package pseudonym

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/fieldseal/fieldseal/fhir"
)

// Rewriter shows the ids in the JSON of one answer under pseudonyms: every
// member id, every reference to a resource of this server in any member, every
// local reference (#id) and every urn:uuid. It works on the text, so that
// nothing else of it changes, and on one chunk after the other.
type Rewriter struct {
	Project *Project
	Base    string // FHIR base URL of this server, without a slash at the end
	// Type reports whether a name is a resource type.
	Type func(string) bool

	rest []byte // a string that the last chunk cut off
	id   bool   // the member under way is called id
}

// Append adds the rewritten chunk to dst. What it cannot tell yet it keeps
// until the next one; a whole answer leaves nothing.
func (w *Rewriter) Append(dst, chunk []byte) []byte {
	src := chunk
	if len(w.rest) > 0 {
		src = append(w.rest, chunk...)
		w.rest = nil
	}
	for len(src) > 0 {
		at := bytes.IndexByte(src, '"')
		if at < 0 {
			return append(dst, src...)
		}
		dst, src = append(dst, src[:at]...), src[at:]
		end := stringEnd(src)
		if end < 0 || !w.decided(src[end:]) {
			w.rest = bytes.Clone(src)
			return dst
		}
		text := src[:end]
		if src = src[end:]; isName(src) {
			w.id = string(text) == `"id"`
			dst = append(dst, text...)
		} else {
			dst = w.value(dst, text)
		}
	}
	return dst
}

// decided reports whether what follows tells a name from a value.
func (w *Rewriter) decided(after []byte) bool { return len(bytes.TrimLeft(after, " \t\r\n")) > 0 }

func isName(after []byte) bool { return bytes.TrimLeft(after, " \t\r\n")[0] == ':' }

// stringEnd is the length of the string literal at the beginning, -1 when its
// end is not there.
func stringEnd(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

func (w *Rewriter) value(dst, literal []byte) []byte {
	text := string(literal[1 : len(literal)-1])
	if strings.IndexByte(text, '\\') >= 0 && json.Unmarshal(literal, &text) != nil {
		return append(dst, `""`...) // no JSON: nothing of it leaves
	}
	shown := w.Text(text)
	if w.id && fhir.ValidID(text) {
		shown = w.Project.Of(text)
	}
	if shown == text {
		return append(dst, literal...)
	}
	n := fhir.NewString(shown)
	return n.AppendJSON(dst)
}

// Text is a value with the ids in it under pseudonyms: a path below the base or
// relative to it, a local reference, or a urn:uuid.
func (w *Rewriter) Text(text string) string {
	switch {
	case len(text) > 4096:
		return text
	case strings.HasPrefix(text, "urn:uuid:"):
		return w.Project.urn(text)
	case len(text) > 1 && text[0] == '#' && fhir.ValidID(text[1:]):
		return "#" + w.Project.Of(text[1:])
	}
	rest, absolute := strings.CutPrefix(text, w.Base+"/")
	path, end := rest, ""
	if at := strings.IndexAny(rest, "?#"); at >= 0 {
		path, end = rest[:at], rest[at:]
	}
	steps := strings.Split(strings.TrimPrefix(path, "/"), "/")
	if len(steps) < 2 || !w.Type(steps[0]) {
		return text
	}
	if len(end) > 1 && end[0] == '#' && fhir.ValidID(end[1:]) {
		end = "#" + w.Project.Of(end[1:])
	}
	for i := 0; i+1 < len(steps); i += 2 {
		if w.Type(steps[i]) && fhir.ValidID(steps[i+1]) {
			steps[i+1] = w.Project.Of(steps[i+1])
		}
	}
	out := strings.Join(steps, "/") + end
	if strings.HasPrefix(path, "/") {
		out = "/" + out
	}
	if absolute {
		return w.Base + "/" + out
	}
	return out
}
