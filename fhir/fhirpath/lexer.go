package fhirpath

import (
	"strings"
	"unicode/utf8"
)

// tokenKind is the kind of a token (N1 grammar).
type tokenKind uint8

const (
	tokenEnd       tokenKind = iota
	tokenSymbol              // one of ( ) [ ] { } . , + - * / | & = != ~ !~ < > <= >= % $
	tokenName                // identifier or keyword
	tokenDelimited           // `identifier`, escapes resolved
	tokenString              // 'text', escapes resolved
	tokenNumber
	tokenDateTime // @2015, @2015-02T
	tokenTime     // @T12
)

type token struct {
	kind tokenKind
	text string
	pos  int
}

// lexer splits an expression. It never looks back.
type lexer struct {
	s   string
	pos int
}

func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' }

func (l *lexer) fail(pos int, reason string) error { return fail(ErrSyntax, pos, "%s", reason) }

// next reads one token.
func (l *lexer) next() (token, error) {
	if err := l.skip(); err != nil {
		return token{}, err
	}
	start := l.pos
	if start == len(l.s) {
		return token{kind: tokenEnd, pos: start}, nil
	}
	c := l.s[start]
	switch {
	case isLetter(c):
		for l.pos < len(l.s) && (isLetter(l.s[l.pos]) || isDigit(l.s[l.pos])) {
			l.pos++
		}
		return token{tokenName, l.s[start:l.pos], start}, nil
	case isDigit(c):
		return l.number(), nil
	case c == '\'', c == '"':
		return l.quoted(tokenString, c)
	case c == '`':
		return l.quoted(tokenDelimited, c)
	case c == '@':
		return l.temporal()
	}
	return l.symbol()
}

// skip passes white space and comments (N1 §10.1, §10.2).
func (l *lexer) skip() error {
	for l.pos < len(l.s) {
		rest := l.s[l.pos:]
		switch {
		case strings.IndexByte(" \t\r\n", rest[0]) >= 0:
			l.pos++
		case strings.HasPrefix(rest, "//"):
			end := strings.IndexByte(rest, '\n')
			if end < 0 {
				end = len(rest)
			}
			l.pos += end
		case strings.HasPrefix(rest, "/*"):
			end := strings.Index(rest[2:], "*/")
			if end < 0 {
				return l.fail(l.pos, "a comment does not end")
			}
			l.pos += end + 4
		default:
			return nil
		}
	}
	return nil
}

func (l *lexer) digits() int {
	start := l.pos
	for l.pos < len(l.s) && isDigit(l.s[l.pos]) {
		l.pos++
	}
	return l.pos - start
}

// digitAfter reports whether c and a digit follow.
func (l *lexer) digitAfter(c byte) bool {
	return l.pos+1 < len(l.s) && l.s[l.pos] == c && isDigit(l.s[l.pos+1])
}

func (l *lexer) number() token {
	start := l.pos
	l.digits()
	if l.digitAfter('.') {
		l.pos++
		l.digits()
	}
	return token{tokenNumber, l.s[start:l.pos], start}
}

func (l *lexer) symbol() (token, error) {
	start := l.pos
	if start+2 <= len(l.s) {
		switch two := l.s[start : start+2]; two {
		case "!=", "!~", "<=", ">=":
			l.pos += 2
			return token{tokenSymbol, two, start}, nil
		}
	}
	if strings.IndexByte("()[]{}.,+-*/|&=~<>%$", l.s[start]) < 0 {
		return token{}, l.fail(start, "a character that has no meaning here")
	}
	l.pos++
	return token{tokenSymbol, l.s[start:l.pos], start}, nil
}

// quoted reads text up to the quote; escapes are those of N1 §4.1.3.
func (l *lexer) quoted(kind tokenKind, quote byte) (token, error) {
	start := l.pos
	l.pos++
	var b strings.Builder
	for l.pos < len(l.s) {
		switch c := l.s[l.pos]; c {
		case quote:
			l.pos++
			return token{kind, b.String(), start}, nil
		case '\\':
			if err := l.escape(&b); err != nil {
				return token{}, err
			}
		default:
			b.WriteByte(c)
			l.pos++
		}
	}
	return token{}, l.fail(start, "a quoted text does not end")
}

func (l *lexer) escape(b *strings.Builder) error {
	at := l.pos
	if at+1 >= len(l.s) {
		return l.fail(at, "an escape does not end")
	}
	c := l.s[at+1]
	l.pos += 2
	switch c {
	case '\'', '"', '`', '\\', '/':
		b.WriteByte(c)
	case 'f':
		b.WriteByte('\f')
	case 'n':
		b.WriteByte('\n')
	case 'r':
		b.WriteByte('\r')
	case 't':
		b.WriteByte('\t')
	case 'u':
		return l.unicode(b, at)
	default:
		return l.fail(at, "an escape that does not exist")
	}
	return nil
}

// unicode reads four digits, and a second escape after a high surrogate.
func (l *lexer) unicode(b *strings.Builder, at int) error {
	r, ok := l.hex()
	if ok && r >= 0xd800 && r < 0xdc00 && strings.HasPrefix(l.s[l.pos:], "\\u") {
		l.pos += 2
		low, more := l.hex()
		ok = more && low >= 0xdc00 && low < 0xe000
		r = (r-0xd800)<<10 + low - 0xdc00 + 0x10000
	}
	if !ok || !utf8.ValidRune(r) {
		return l.fail(at, "an escape that is no character")
	}
	b.WriteRune(r)
	return nil
}

func (l *lexer) hex() (rune, bool) {
	if l.pos+4 > len(l.s) {
		return 0, false
	}
	var r rune
	for _, c := range []byte(l.s[l.pos : l.pos+4]) {
		switch {
		case isDigit(c):
			r = r<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	l.pos += 4
	return r, true
}

// temporal reads a date, dateTime or time literal (N1 §4.1.5 to §4.1.7). Its
// text is without the @, and a time without the T.
func (l *lexer) temporal() (token, error) {
	start := l.pos
	l.pos++
	if l.pos < len(l.s) && l.s[l.pos] == 'T' {
		l.pos++
		from := l.pos
		if l.clock() == 0 {
			return token{}, l.fail(start, "a time without hours")
		}
		return token{tokenTime, l.s[from:l.pos], start}, nil
	}
	if l.digits() != 4 {
		return token{}, l.fail(start, "a date without a year of four digits")
	}
	for range 2 {
		if l.digitAfter('-') {
			l.pos++
			l.digits()
		}
	}
	if l.pos < len(l.s) && l.s[l.pos] == 'T' {
		l.pos++
		if l.clock() > 0 {
			l.zone()
		}
	}
	return token{tokenDateTime, l.s[start+1 : l.pos], start}, nil
}

// clock reads hh:mm:ss.fff and returns how many parts there are.
func (l *lexer) clock() int {
	if l.digits() == 0 {
		return 0
	}
	parts := 1
	for parts < 3 && l.digitAfter(':') {
		l.pos++
		l.digits()
		parts++
	}
	if parts == 3 && l.digitAfter('.') {
		l.pos++
		l.digits()
	}
	return parts
}

func (l *lexer) zone() {
	if l.pos < len(l.s) && l.s[l.pos] == 'Z' {
		l.pos++
		return
	}
	if (l.digitAfter('+') || l.digitAfter('-')) && l.pos+6 <= len(l.s) && l.s[l.pos+3] == ':' {
		l.pos += 6
	}
}
