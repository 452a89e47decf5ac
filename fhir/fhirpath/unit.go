package fhirpath

import (
	"strconv"
	"strings"
)

// factor is a symbol with its exponent.
type factor struct {
	symbol   string
	exponent int
}

// productUnit is the code of a product or quotient of units: cm and cm are cm2,
// g and m are g/m (N1 §6.6.1).
func productUnit(a, b string, division bool) string {
	x, okX := factors(a)
	y, okY := factors(b)
	if !okX || !okY {
		if division {
			return "(" + a + ")/(" + b + ")"
		}
		return "(" + a + ").(" + b + ")"
	}
	for _, f := range y {
		if division {
			f.exponent = -f.exponent
		}
		x = addFactor(x, f)
	}
	return unitText(x)
}

func addFactor(list []factor, f factor) []factor {
	for i := range list {
		if list[i].symbol == f.symbol {
			list[i].exponent += f.exponent
			return list
		}
	}
	return append(list, f)
}

// factors reads a product of plain symbols with exponents; false for what has
// parentheses, annotations or numbers in it.
func factors(code string) ([]factor, bool) {
	var list []factor
	if code == "1" {
		return nil, true
	}
	sign := 1
	for code != "" {
		if code[0] == '/' {
			sign, code = -1, code[1:]
		} else if code[0] == '.' {
			sign, code = 1, code[1:]
		}
		end := symbolEnd(code)
		if end == 0 {
			return nil, false
		}
		f := factor{symbol: code[:end], exponent: 1}
		code = code[end:]
		digits := 0
		for digits < len(code) && (isDigit(code[digits]) || digits == 0 && (code[0] == '-' || code[0] == '+')) {
			digits++
		}
		if digits > 0 {
			e, err := strconv.Atoi(code[:digits])
			if err != nil || e < -30 || e > 30 {
				return nil, false
			}
			f.exponent, code = e, code[digits:]
		}
		if code != "" && code[0] != '.' && code[0] != '/' {
			return nil, false
		}
		f.exponent *= sign
		list = addFactor(list, f)
	}
	return list, true
}

// symbolEnd is the length of the unit symbol at the start; brackets may hold
// anything.
func symbolEnd(s string) int {
	i := 0
	for i < len(s) {
		switch {
		case s[i] == '[':
			end := strings.IndexByte(s[i:], ']')
			if end < 0 {
				return 0
			}
			i += end + 1
		case strings.IndexByte(".(){}/+-*^0123456789 ", s[i]) >= 0:
			if i < len(s) && (s[i] == '*' || s[i] == '^' || s[i] == '{' || s[i] == '(') {
				return 0
			}
			return i
		default:
			i++
		}
	}
	return i
}

// unitText writes the product: what divides stands after a slash.
func unitText(list []factor) string {
	var above, below strings.Builder
	for _, f := range list {
		switch {
		case f.exponent > 0:
			if above.Len() > 0 {
				above.WriteByte('.')
			}
			writeFactor(&above, f.symbol, f.exponent)
		case f.exponent < 0:
			below.WriteByte('/')
			writeFactor(&below, f.symbol, -f.exponent)
		}
	}
	if above.Len() == 0 && below.Len() == 0 {
		return "1"
	}
	return above.String() + below.String()
}

func writeFactor(b *strings.Builder, symbol string, exponent int) {
	b.WriteString(symbol)
	if exponent != 1 {
		b.WriteString(strconv.Itoa(exponent))
	}
}
