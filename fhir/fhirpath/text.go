package fhirpath

import (
	"strings"
	"unicode/utf8"
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
	return Integer(utf8.RuneCountInString(s[:at]))
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
