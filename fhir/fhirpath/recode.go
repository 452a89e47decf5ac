package fhirpath

import (
	"encoding/base64"
	"encoding/hex"
	"html"
	"strings"
	"unicode/utf8"

	"github.com/fieldseal/fieldseal/fhir"
)

// recoding turns a text into another; false for what it cannot be made from.
type recoding map[string]func(string) (string, bool)

var encodings = recoding{
	"hex":       func(s string) (string, bool) { return hex.EncodeToString([]byte(s)), true },
	"base64":    func(s string) (string, bool) { return base64.StdEncoding.EncodeToString([]byte(s)), true },
	"urlbase64": func(s string) (string, bool) { return base64.URLEncoding.EncodeToString([]byte(s)), true },
}

var decodings = recoding{
	"hex":       decoded(hex.DecodeString),
	"base64":    decoded(base64.StdEncoding.DecodeString),
	"urlbase64": decoded(base64.URLEncoding.DecodeString),
}

func decoded(f func(string) ([]byte, error)) func(string) (string, bool) {
	return func(s string) (string, bool) {
		b, err := f(s)
		return string(b), err == nil && utf8.Valid(b)
	}
}

var escapes = recoding{
	"html": func(s string) (string, bool) {
		return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&#39;").Replace(s), true
	},
	"json": func(s string) (string, bool) {
		n := fhir.NewString(s)
		return string(n.Raw()[1 : len(n.Raw())-1]), true
	},
}

var unescapes = recoding{
	"html": func(s string) (string, bool) { return html.UnescapeString(s), true },
	"json": unescapeJSON,
}

func unescapeJSON(s string) (string, bool) {
	n, err := fhir.ParseValue([]byte(`"`+s+`"`), fhir.Limits{})
	return n.Text(), err == nil && n.Kind() == fhir.String
}

// recode is encode and its like: the format is the argument.
func recode(formats recoding) func(*invocation, Collection) (Collection, error) {
	return func(in *invocation, c Collection) (Collection, error) {
		s, ok, err := text(c, in.pos)
		if err != nil {
			return nil, err
		}
		format, okF, err := in.textArg(0)
		if err != nil || !ok || !okF {
			return nil, err
		}
		f := formats[format]
		if f == nil {
			return nil, in.failed("an unknown format")
		}
		if err := in.pay(6 * len(s)); err != nil {
			return nil, err
		}
		out, ok := f(s)
		if !ok {
			return nil, in.failed("the text is not of the format")
		}
		return Collection{String(out)}, nil
	}
}
