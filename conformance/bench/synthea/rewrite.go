package synthea

import (
	"bytes"
	"strings"
	"time"
)

// target is what a uuid or a conditional reference leads to.
type target struct{ typ, id string }

// rewriter makes one resource's literals new, one after the other.
type rewriter struct {
	draw             draw
	shared           *shared
	targets          map[string]target // by the uuid of fullUrl
	days             int
	oldName, newName string
}

const uuidLength = 36

// rewrite copies compact JSON with new uuids, references, dates and names. The
// literals of valid JSON are found by their quotes.
func (w *rewriter) rewrite(in []byte) []byte {
	out := make([]byte, 0, len(in)+len(in)/16)
	member := ""
	for {
		start := bytes.IndexByte(in, '"')
		if start < 0 {
			return append(out, in...)
		}
		end := start + 1
		for in[end] != '"' {
			if in[end] == '\\' {
				end++
			}
			end++
		}
		text := in[start+1 : end]
		out = append(out, in[:start+1]...)
		if end+1 < len(in) && in[end+1] == ':' {
			member = string(text)
			out = append(out, text...)
		} else {
			out = w.value(out, member, text)
		}
		out = append(out, '"')
		in = in[end+1:]
	}
}

// value appends what becomes of a string.
func (w *rewriter) value(out []byte, member string, text []byte) []byte {
	switch urn, isURN := bytes.CutPrefix(text, []byte("urn:uuid:")); {
	case isURN && isUUID(urn):
		t, known := w.targets[string(urn)]
		switch {
		case known && member == "reference":
			return append(append(append(out, t.typ...), '/'), t.id...)
		case known:
			return append(append(out, "urn:uuid:"...), t.id...)
		}
		return append(append(out, "urn:uuid:"...), w.draw.uuid(string(urn))...)
	case isUUID(text):
		if t, known := w.targets[string(text)]; known {
			return append(out, t.id...)
		}
		return append(out, w.draw.uuid(string(text))...)
	case member == "reference":
		if t, known := w.shared.byCondition[string(text)]; known {
			return append(append(append(out, t.typ...), '/'), t.id...)
		}
	case isDate(text):
		return append(w.shift(out, text[:len(time.DateOnly)]), text[len(time.DateOnly):]...)
	case w.oldName != "" && bytes.Contains(text, []byte(w.oldName)):
		return append(out, strings.ReplaceAll(string(text), w.oldName, w.newName)...)
	}
	return append(out, text...)
}

func isUUID(s []byte) bool {
	if len(s) != uuidLength || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return false
	}
	for i, c := range s {
		if i != 8 && i != 13 && i != 18 && i != 23 && (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// isDate tells full dates and times of the last two centuries.
func isDate(s []byte) bool {
	return len(s) >= len(time.DateOnly) && (s[0] == '1' && s[1] == '9' || s[0] == '2' && s[1] == '0') && s[4] == '-' && s[7] == '-' &&
		(len(s) == len(time.DateOnly) || s[len(time.DateOnly)] == 'T')
}

// shift moves a date; what is none stays.
func (w *rewriter) shift(out, date []byte) []byte {
	t, err := time.Parse(time.DateOnly, string(date))
	if err != nil {
		return append(out, date...)
	}
	return t.AddDate(0, 0, w.days).AppendFormat(out, time.DateOnly)
}
