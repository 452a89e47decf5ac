// Package ucum converts quantities between units of UCUM, exactly. Start with
// Canonical, which search indexes are built on, or with Lookup, which gives a
// Unit to convert from and to.
//
// Security notes: codes come from clients; their length, their exponents and
// the number of remembered ones are bounded.
//
// Kept compatible: the results of Canonical, which stored tokens depend on.
package ucum

import (
	"math/big"
	"sync"

	"github.com/cockroachdb/apd/v3"
)

// System is the system of units that Canonical understands
// (R4 datatypes.html#Quantity).
const System = "http://unitsofmeasure.org"

// Canonical converts a quantity to the base units of UCUM, so that quantities
// of one dimension have one unit: 1 mg/dL and 10 mg/L are both 10 g.m-3 (a
// dimensionless one is "1"). It answers ok = false for another system and for
// what is no UCUM unit; such quantities compare by equal system and code.
//
// Cel, [degF] and [degRe] become K with their offset. Logarithmic units ([pH],
// B, Np …) and arbitrary ones ([iU], [CFU] …) are a dimension of their own:
// they convert to nothing else (UCUM §24, §45). Annotations count for nothing,
// "{score}" is 1 (UCUM §12). A result is exact unless it has more than 60
// digits.
func Canonical(system, code string, value *apd.Decimal) (unit string, v *apd.Decimal, ok bool) {
	if system != System || value == nil {
		return "", nil, false
	}
	u := units.get(code)
	if u == nil {
		return "", nil, false
	}
	v, ok = u.ToBase(value)
	if !ok {
		return "", nil, false
	}
	return u.name, v, true
}

// Lookup returns the unit with the code, nil for what is no UCUM unit.
func Lookup(code string) *Unit { return units.get(code) }

// Base is the canonical unit of the dimension: units convert into each other
// when their bases are equal.
func (u *Unit) Base() string { return u.name }

// ToBase converts a value to the base unit.
func (u *Unit) ToBase(value *apd.Decimal) (*apd.Decimal, bool) {
	v := new(apd.Decimal)
	if _, err := exact.Mul(v, value, &u.slope); err != nil {
		return nil, false
	}
	if _, err := exact.Add(v, v, &u.offset); err != nil {
		return nil, false
	}
	if _, err := quotient.Quo(v, v, &u.divisor); err != nil {
		return nil, false
	}
	v.Reduce(v)
	return v, true
}

// FromBase converts a value of the base unit to this unit; it is the inverse of
// ToBase.
func (u *Unit) FromBase(value *apd.Decimal) (*apd.Decimal, bool) {
	v := new(apd.Decimal)
	if _, err := exact.Mul(v, value, &u.divisor); err != nil {
		return nil, false
	}
	if _, err := exact.Sub(v, v, &u.offset); err != nil {
		return nil, false
	}
	if _, err := quotient.Quo(v, v, &u.slope); err != nil {
		return nil, false
	}
	v.Reduce(v)
	return v, true
}

// Ratio reports whether the unit is a ratio scale, so that values in it can be
// multiplied: false for Cel, [pH] and the like (UCUM §21).
func (u *Unit) Ratio() bool { return !u.special }

// exact is the context of additions and multiplications: wide enough for any
// value of up to 128 digits and an exponent of 400.
var exact = apd.Context{Precision: 1056, MaxExponent: apd.MaxExponent, MinExponent: apd.MinExponent}

// quotient is the context of divisions; they alone may round.
var quotient = apd.Context{Precision: 60, MaxExponent: apd.MaxExponent, MinExponent: apd.MinExponent, Rounding: apd.RoundHalfEven}

// Unit converts to base units: (value × slope + offset) / divisor.
type Unit struct {
	name                   string
	special                bool
	slope, offset, divisor apd.Decimal
}

// newUnit has the factor and the offset, in the canonical unit.
func newUnit(name string, factor, offset *big.Rat) *Unit {
	u := &Unit{name: name}
	common := new(big.Int).Mul(factor.Denom(), offset.Denom())
	setInt(&u.slope, new(big.Int).Mul(factor.Num(), offset.Denom()))
	setInt(&u.offset, new(big.Int).Mul(offset.Num(), factor.Denom()))
	setInt(&u.divisor, common)
	return u
}

func setInt(d *apd.Decimal, i *big.Int) {
	d.Coeff.SetMathBigInt(i)
	if i.Sign() < 0 {
		d.Coeff.Neg(&d.Coeff)
		d.Negative = true
	}
}

// units remembers codes, the unknown among them as nil. Codes come from
// clients, so their number is bounded; a full cache starts again.
var units = unitCache{codes: map[string]*Unit{}}

// maxUnits is far above what the resources of one installation use.
const maxUnits = 4096

type unitCache struct {
	mu    sync.RWMutex
	codes map[string]*Unit
}

func (c *unitCache) get(code string) *Unit {
	c.mu.RLock()
	u, known := c.codes[code]
	c.mu.RUnlock()
	if known {
		return u
	}
	if len(code) > maxUnitBytes {
		return nil
	}
	u = parseUnit(code)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.codes) >= maxUnits {
		clear(c.codes)
	}
	c.codes[code] = u
	return u
}
