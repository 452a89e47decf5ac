package fhirpath

import (
	"encoding/base64"
	"encoding/hex"
	"html"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"

	"github.com/fieldseal/fieldseal/fhir"
)

// texts are the functions of N1 §5.6 and the later ones on strings.
var texts = map[string]*function{
	"indexOf":        {min: 1, max: 1, input: textInput, returns: ofSystem, eval: search(func(s, t string) Item { return position(s, strings.Index(s, t)) })},
	"lastIndexOf":    {min: 1, max: 1, input: textInput, returns: ofSystem, eval: search(lastIndex)},
	"startsWith":     {min: 1, max: 1, input: textInput, returns: ofSystem, eval: search(func(s, t string) Item { return Boolean(strings.HasPrefix(s, t)) })},
	"endsWith":       {min: 1, max: 1, input: textInput, returns: ofSystem, eval: search(func(s, t string) Item { return Boolean(strings.HasSuffix(s, t)) })},
	"contains":       {min: 1, max: 1, input: textInput, returns: ofSystem, eval: search(func(s, t string) Item { return Boolean(strings.Contains(s, t)) })},
	"substring":      {min: 1, max: 2, input: textInput, returns: ofSystem, eval: substring},
	"upper":          {input: textInput, returns: ofSystem, eval: change(strings.ToUpper)},
	"lower":          {input: textInput, returns: ofSystem, eval: change(strings.ToLower)},
	"trim":           {input: textInput, returns: ofSystem, eval: change(func(s string) string { return strings.Trim(s, " \t\r\n") })},
	"replace":        {min: 2, max: 2, input: textInput, returns: ofSystem, eval: replace},
	"matches":        {min: 1, max: 1, input: textInput, returns: ofSystem, eval: matches(false)},
	"matchesFull":    {min: 1, max: 1, input: textInput, returns: ofSystem, eval: matches(true)},
	"replaceMatches": {min: 2, max: 2, input: textInput, returns: ofSystem, eval: replaceMatches},
	"length":         {input: textInput, returns: ofSystem, eval: lengthOf},
	"toChars":        {input: textInput, returns: ofSystem, eval: toChars},
	"encode":         {min: 1, max: 1, input: textInput, returns: ofSystem, eval: recode(encodings)},
	"decode":         {min: 1, max: 1, input: textInput, returns: ofSystem, eval: recode(decodings)},
	"escape":         {min: 1, max: 1, input: textInput, returns: ofSystem, eval: recode(escapes)},
	"unescape":       {min: 1, max: 1, input: textInput, returns: ofSystem, eval: recode(unescapes)},
	"split":          {min: 1, max: 1, input: textInput, returns: ofSystem, eval: split},
	"join":           {max: 1, returns: ofSystem, eval: join},
}

// pay charges for reading and making text.
func (in *invocation) pay(bytes int) error { return in.ev.text(in.pos, bytes) }

// search is a function that looks for its argument.
func search(find func(s, t string) Item) func(*invocation, Collection) (Collection, error) {
	return func(in *invocation, c Collection) (Collection, error) {
		s, ok, err := text(c, in.pos)
		if err != nil {
			return nil, err
		}
		t, okT, err := in.textArg(0)
		if err != nil || !ok || !okT {
			return nil, err
		}
		if err := in.pay(len(s) + len(t)); err != nil {
			return nil, err
		}
		return Collection{find(s, t)}, nil
	}
}

// position counts characters.
func position(s string, at int) Item {
	if at < 0 {
		return Integer(-1)
	}
	return Integer(utf8.RuneCountInString(s[:at])) // #nosec G115 -- below Limits.Bytes
}

func lastIndex(s, t string) Item {
	if t == "" {
		return Integer(0)
	}
	return position(s, strings.LastIndex(s, t))
}

func change(f func(string) string) func(*invocation, Collection) (Collection, error) {
	return func(in *invocation, c Collection) (Collection, error) {
		s, ok, err := text(c, in.pos)
		if err != nil || !ok {
			return nil, err
		}
		if err := in.pay(len(s)); err != nil {
			return nil, err
		}
		return Collection{String(f(s))}, nil
	}
}

// substring counts characters (N1 §5.6.2).
func substring(in *invocation, c Collection) (Collection, error) {
	s, ok, err := text(c, in.pos)
	if err != nil {
		return nil, err
	}
	start, okStart, err := in.integerArg(0)
	if err != nil {
		return nil, err
	}
	count, limited, err := in.integerArg(1)
	if err != nil || !ok || !okStart || start < 0 {
		return nil, err
	}
	if err := in.pay(len(s)); err != nil {
		return nil, err
	}
	from := byteOffset(s, start)
	if from >= len(s) {
		return nil, nil
	}
	s = s[from:]
	if limited {
		s = s[:byteOffset(s, max(count, 0))]
	}
	return Collection{String(s)}, nil
}

// byteOffset is where the n-th character begins, the length beyond the last.
func byteOffset(s string, n int) int {
	if n >= len(s) {
		return len(s)
	}
	for i := range s {
		if n == 0 {
			return i
		}
		n--
	}
	return len(s)
}

func replace(in *invocation, c Collection) (Collection, error) {
	s, ok, err := text(c, in.pos)
	if err != nil {
		return nil, err
	}
	pattern, okP, err := in.textArg(0)
	if err != nil {
		return nil, err
	}
	with, okW, err := in.textArg(1)
	if err != nil || !ok || !okP || !okW {
		return nil, err
	}
	if err := in.pay(len(s) + strings.Count(s, pattern)*len(with)); err != nil {
		return nil, err
	}
	return Collection{String(strings.ReplaceAll(s, pattern, with))}, nil
}

// pattern is a compiled regular expression; several are kept per evaluation.
type pattern struct {
	re *regexp.Regexp
}

// Bounds of regular expressions: RE2 is linear in the text, and the program,
// which a{1000} multiplies, is bounded here.
const (
	maxPatternBytes = 4096
	maxPatterns     = 64
)

// compilePattern compiles in single-line mode: the dot matches newlines too
// (N1 §5.6.8).
func (in *invocation) compilePattern(s string, full bool) (*regexp.Regexp, error) {
	if len(s) > maxPatternBytes {
		return nil, fail(ErrLimit, in.pos, "a regular expression of more than %d bytes", maxPatternBytes)
	}
	if full {
		s = `\A(?:` + s + `)\z`
	}
	if p := in.ev.patterns[s]; p != nil {
		return p.re, nil
	}
	if err := in.ev.spend(in.pos, 8*len(s)); err != nil {
		return nil, err
	}
	if _, err := syntax.Parse(s, syntax.Perl); err != nil {
		return nil, in.failed("no regular expression that RE2 takes")
	}
	re, err := regexp.Compile("(?s)" + s)
	if err != nil {
		return nil, in.failed("no regular expression that RE2 takes")
	}
	if in.ev.patterns == nil || len(in.ev.patterns) >= maxPatterns {
		in.ev.patterns = map[string]*pattern{}
	}
	in.ev.patterns[s] = &pattern{re}
	return re, nil
}

// payMatch charges for a match: text times program.
func (in *invocation) payMatch(s, pattern string) error {
	return in.ev.spend(in.pos, 1+len(s)*(1+len(pattern)/16)/16)
}

func matches(full bool) func(*invocation, Collection) (Collection, error) {
	return func(in *invocation, c Collection) (Collection, error) {
		s, ok, err := text(c, in.pos)
		if err != nil {
			return nil, err
		}
		p, okP, err := in.textArg(0)
		if err != nil || !ok || !okP {
			return nil, err
		}
		re, err := in.compilePattern(p, full)
		if err != nil {
			return nil, err
		}
		if err := in.payMatch(s, p); err != nil {
			return nil, err
		}
		return truth(re.MatchString(s)), nil
	}
}

// replaceMatches replaces; the substitution names groups by ${name}, $name or $1
// (N1 §5.6.10).
func replaceMatches(in *invocation, c Collection) (Collection, error) {
	s, ok, err := text(c, in.pos)
	if err != nil {
		return nil, err
	}
	p, okP, err := in.textArg(0)
	if err != nil {
		return nil, err
	}
	with, okW, err := in.textArg(1)
	if err != nil || !ok || !okP || !okW {
		return nil, err
	}
	if p == "" {
		return Collection{String(s)}, nil
	}
	re, err := in.compilePattern(p, false)
	if err != nil {
		return nil, err
	}
	if err := in.payMatch(s, p); err != nil {
		return nil, err
	}
	var out []byte
	at := 0
	for _, m := range re.FindAllStringSubmatchIndex(s, -1) {
		out = re.ExpandString(append(out, s[at:m[0]]...), with, s, m)
		at = m[1]
		if err := in.pay(len(out)); err != nil {
			return nil, err
		}
	}
	return Collection{String(append(out, s[at:]...))}, nil
}

func lengthOf(in *invocation, c Collection) (Collection, error) {
	s, ok, err := text(c, in.pos)
	if err != nil || !ok {
		return nil, err
	}
	return Collection{position(s, len(s))}, in.pay(len(s))
}

func toChars(in *invocation, c Collection) (Collection, error) {
	s, ok, err := text(c, in.pos)
	if err != nil || !ok {
		return nil, err
	}
	if err := in.ev.spend(in.pos, len(s)); err != nil {
		return nil, err
	}
	var out Collection
	for _, r := range s {
		out = append(out, String(string(r)))
	}
	return out, nil
}

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

func split(in *invocation, c Collection) (Collection, error) {
	s, ok, err := text(c, in.pos)
	if err != nil {
		return nil, err
	}
	separator, okS, err := in.textArg(0)
	if err != nil || !ok || !okS {
		return nil, err
	}
	if err := in.ev.spend(in.pos, 1+strings.Count(s, separator)); err != nil {
		return nil, err
	}
	var out Collection
	for part := range strings.SplitSeq(s, separator) {
		out = append(out, String(part))
	}
	return out, nil
}

func join(in *invocation, c Collection) (Collection, error) {
	separator, _, err := in.textArg(0)
	if err != nil || len(c) == 0 {
		return nil, err
	}
	var b strings.Builder
	for i, item := range c {
		s, ok := convert(item).(String)
		if !ok {
			return nil, in.failed("an item is no string")
		}
		if i > 0 {
			b.WriteString(separator)
		}
		b.WriteString(string(s))
		if b.Len() > in.ev.limits.Bytes {
			return nil, in.pay(b.Len())
		}
	}
	if err := in.pay(b.Len()); err != nil {
		return nil, err
	}
	return Collection{String(b.String())}, nil
}
