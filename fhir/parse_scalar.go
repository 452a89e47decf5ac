package fhir

import "unicode/utf16"

// str passes over the string literal at p.i.
func (p *parser) str() bool {
	i := p.i + 1
	for {
		i = special(p.b, i)
		if i > p.badUTF8 {
			return p.fail(p.badUTF8, "invalid UTF-8")
		}
		if i >= len(p.b) {
			return p.fail(len(p.b), "unexpected end in a string")
		}
		switch p.b[i] {
		case '"':
			p.i = i + 1
			return true
		case '\\':
			n, reason := escape(p.b[i:])
			if reason != "" {
				return p.fail(i, reason)
			}
			i += n
		default:
			return p.fail(i, "control character in a string")
		}
	}
}

// escape measures the escape at the start of s.
func escape(s []byte) (n int, reason string) {
	if len(s) < 2 {
		return 0, "unexpected end in a string"
	}
	switch s[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2, ""
	case 'u':
		return unicodeEscape(s)
	}
	return 0, "unknown escape"
}

// unicodeEscape refuses what other readers of the resource would each treat
// in their own way: lone surrogates (RFC 8259 §8.2) and NUL, which cuts a
// string short in C.
func unicodeEscape(s []byte) (n int, reason string) {
	r := hex4(s[2:])
	switch {
	case r < 0:
		return 0, "escape without four hexadecimal digits"
	case r == 0:
		return 0, "NUL in a string"
	case !utf16.IsSurrogate(r):
		return 6, ""
	case r >= 0xDC00 || len(s) < 12 || s[6] != '\\' || s[7] != 'u':
		return 0, "lone surrogate"
	}
	if low := hex4(s[8:]); low < 0xDC00 || low > 0xDFFF {
		return 0, "lone surrogate"
	}
	return 12, ""
}

// number passes over the number literal at p.i (RFC 8259 §6).
func (p *parser) number(n *Node) bool {
	start := p.i
	if p.b[p.i] == '-' {
		p.i++
	}
	leadingZero := p.peek() == '0'
	whole := p.digits()
	if whole == 0 {
		return p.fail(p.i, "expected a digit")
	}
	if leadingZero && whole > 1 {
		return p.fail(start, "number with leading zeros")
	}
	fraction := 0
	if p.peek() == '.' {
		p.i++
		if fraction = p.digits(); fraction == 0 {
			return p.fail(p.i, "expected a digit")
		}
	}
	if whole+fraction > MaxNumberDigits {
		return p.fail(start, "number with too many digits")
	}
	if c := p.peek(); (c == 'e' || c == 'E') && !p.exponent() {
		return false
	}
	n.kind, n.raw = Number, p.b[start:p.i:p.i]
	return true
}

func (p *parser) digits() int {
	start := p.i
	for p.i < len(p.b) && p.b[p.i]-'0' <= 9 {
		p.i++
	}
	return p.i - start
}

func (p *parser) exponent() bool {
	p.i++
	if c := p.peek(); c == '+' || c == '-' {
		p.i++
	}
	start := p.i
	if p.digits() == 0 {
		return p.fail(p.i, "expected a digit")
	}
	e := 0
	for _, c := range p.b[start:p.i] {
		if e = e*10 + int(c-'0'); e > MaxNumberExponent {
			return p.fail(start, "number with an exponent out of range")
		}
	}
	return true
}
