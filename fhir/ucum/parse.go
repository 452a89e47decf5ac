package ucum

import (
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// Bounds of a unit's code. Real ones stay far below; a factor with thousands
// of digits would cost time in every comparison.
const (
	maxUnitBytes    = 128
	maxUnitExponent = 30
)

// dimensions counts base units by their exponents.
type dimensions map[string]int

func (d dimensions) String() string {
	names := make([]string, 0, len(d))
	for name, exponent := range d {
		switch exponent {
		case 0:
		case 1:
			names = append(names, name)
		default:
			names = append(names, name+strconv.Itoa(exponent))
		}
	}
	if len(names) == 0 {
		return "1"
	}
	slices.Sort(names)
	return strings.Join(names, ".")
}

// unitParser reads a code by the syntax of UCUM §2–§12 and multiplies what the
// symbols stand for.
type unitParser struct {
	s       string
	dims    dimensions
	factor  *big.Rat
	symbols int
	special *symbol // a unit that may only stand alone
	bad     bool
}

// parseUnit is nil for what is no unit.
func parseUnit(code string) *Unit {
	p := &unitParser{s: code, dims: dimensions{}, factor: big.NewRat(1, 1)}
	p.term(1, 0)
	if p.bad || p.s != "" {
		return nil
	}
	if p.special != nil {
		if p.symbols != 1 {
			return nil
		}
		u := newUnit(p.special.dims.String(), p.special.factor, p.special.offset)
		u.special = true
		return u
	}
	return newUnit(p.dims.String(), p.factor, new(big.Rat))
}

func (p *unitParser) take(c byte) bool {
	if p.s == "" || p.s[0] != c {
		return false
	}
	p.s = p.s[1:]
	return true
}

// term reads components that are joined by . and /; a leading / inverts.
func (p *unitParser) term(sign, depth int) {
	at := sign
	if p.take('/') {
		at = -sign
	}
	for {
		p.component(at, depth)
		switch {
		case p.bad:
			return
		case p.take('.'):
			at = sign
		case p.take('/'):
			at = -sign
		default:
			return
		}
	}
}

func (p *unitParser) component(sign, depth int) {
	if p.take('(') {
		if depth > 8 {
			p.bad = true
			return
		}
		p.term(sign, depth+1)
		p.bad = p.bad || !p.take(')')
		p.annotation()
		return
	}
	p.symbols++
	name := p.name()
	if name == "" {
		if !p.annotation() {
			p.bad = true
		}
		return
	}
	s := symbolOf(name)
	exponent, ok := p.exponent()
	p.annotation()
	if s == nil || !ok || s.alone && exponent*sign != 1 {
		p.bad = true
		return
	}
	if s.alone {
		p.special = s
		return
	}
	p.multiply(s, exponent*sign)
}

// name reads a symbol or a whole number. Inside brackets any byte may stand.
func (p *unitParser) name() string {
	i := 0
	for i < len(p.s) && isDigit(p.s[i]) {
		i++
	}
	if i < len(p.s) && i > 0 && p.s[i] != '*' && p.s[i] != '^' {
		return p.cut(i)
	}
	for i < len(p.s) && !strings.ContainsRune(".(){}/+-0123456789 ", rune(p.s[i])) {
		if p.s[i] == '[' {
			end := strings.IndexByte(p.s[i:], ']')
			if end < 0 {
				p.bad = true
				return ""
			}
			i += end
		}
		i++
	}
	return p.cut(i)
}

func (p *unitParser) cut(i int) string {
	name := p.s[:i]
	p.s = p.s[i:]
	return name
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// exponent is 1 when none is written.
func (p *unitParser) exponent() (int, bool) {
	sign, signed := 1, false
	if p.take('-') {
		sign, signed = -1, true
	} else if p.take('+') {
		signed = true
	}
	i := 0
	for i < len(p.s) && isDigit(p.s[i]) {
		i++
	}
	if i == 0 {
		return 1, !signed
	}
	e, err := strconv.Atoi(p.cut(i))
	return sign * e, err == nil && e <= maxUnitExponent
}

// annotation skips {…}, which says nothing about the unit (UCUM §6).
func (p *unitParser) annotation() bool {
	if !p.take('{') {
		return false
	}
	end := strings.IndexByte(p.s, '}')
	if end < 0 {
		p.bad = true
		return false
	}
	p.s = p.s[end+1:]
	return true
}

func (p *unitParser) multiply(s *symbol, exponent int) {
	for name, e := range s.dims {
		p.dims[name] += e * exponent
		if e = p.dims[name]; e > maxUnitExponent || e < -maxUnitExponent {
			p.bad = true
		}
	}
	f := s.factor
	if exponent < 0 {
		f, exponent = new(big.Rat).Inv(f), -exponent
	}
	for range exponent {
		p.factor.Mul(p.factor, f)
	}
}

// wholeNumber is the symbol of a whole number; zero divides nothing and measures
// nothing.
func wholeNumber(digits string) *symbol {
	n, ok := new(big.Int).SetString(digits, 10)
	if !ok || n.Sign() == 0 {
		return nil
	}
	return &symbol{factor: new(big.Rat).SetInt(n)}
}
