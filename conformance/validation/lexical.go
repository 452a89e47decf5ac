package validation

import "strings"

// The functions here equal the regular expressions of R4 datatypes.html (a test
// compares them), and refuse control characters besides, which R4 forbids in
// every string. They are written by hand because a compiled expression costs
// ten times as much on the path of each write.

// hasControl reports a character below 32 that is not tab, LF or CR.
func hasControl(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' && c != '\t' && c != '\n' && c != '\r' {
			return true
		}
	}
	return false
}

// validURI matches \S+ . R4 demands no more of uri, url and canonical.
func validURI(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' {
			return false
		}
	}
	return s != ""
}

// validCode matches [^\s]+(\s[^\s]+)* : no outer and no double whitespace.
func validCode(s string) bool {
	space := true
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			if space {
				return false
			}
			space = true
		case c < ' ':
			return false
		default:
			space = false
		}
	}
	return !space
}

// validBase64 matches (\s*([0-9a-zA-Z+/=]){4}\s*)+ and lets padding stand at
// the end only (RFC 4648 §4), so that the data can be decoded.
func validBase64(s string) bool {
	digits, padding := 0, 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			if digits%4 != 0 {
				return false
			}
			continue
		case c == '=':
			padding++
		case padding > 0 || !isBase64(c):
			return false
		}
		digits++
	}
	return digits > 0 && digits%4 == 0 && padding <= 2
}

func isBase64(c byte) bool {
	return isLetter(c) || isDigit(c) || c == '+' || c == '/'
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }

// validOID matches urn:oid:[0-2](\.(0|[1-9][0-9]*))+ .
func validOID(s string) bool {
	s, ok := strings.CutPrefix(s, "urn:oid:")
	if !ok || len(s) < 3 || s[0] < '0' || s[0] > '2' || s[1] != '.' {
		return false
	}
	start := true
	for i := 2; i < len(s); i++ {
		switch {
		case s[i] == '.':
			if start {
				return false
			}
			start = true
		case !isDigit(s[i]):
			return false
		case s[i] == '0' && start && i+1 < len(s) && s[i+1] != '.':
			return false
		default:
			start = false
		}
	}
	return !start
}

// validUUID matches urn:uuid: and a UUID in lower case.
func validUUID(s string) bool {
	s, ok := strings.CutPrefix(s, "urn:uuid:")
	if !ok || len(s) != 36 {
		return false
	}
	for i := range len(s) {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if s[i] != '-' {
				return false
			}
		} else if !isDigit(s[i]) && (s[i] < 'a' || s[i] > 'f') {
			return false
		}
	}
	return true
}
