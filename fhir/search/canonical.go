package search

import (
	"math/big"
	"sync"

	"github.com/cockroachdb/apd/v3"
)

// UCUM is the system of units that Canonical understands
// (R4 datatypes.html#Quantity).
const UCUM = "http://unitsofmeasure.org"

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
	if system != UCUM || value == nil {
		return "", nil, false
	}
	u := units.get(code)
	if u == nil {
		return "", nil, false
	}
	v = new(apd.Decimal)
	if _, err := exact.Mul(v, value, &u.slope); err != nil {
		return "", nil, false
	}
	if _, err := exact.Add(v, v, &u.offset); err != nil {
		return "", nil, false
	}
	if _, err := quotient.Quo(v, v, &u.divisor); err != nil {
		return "", nil, false
	}
	v.Reduce(v)
	return u.name, v, true
}

// quotient is the context of divisions; they alone may round.
var quotient = apd.Context{Precision: 60, MaxExponent: apd.MaxExponent, MinExponent: apd.MinExponent, Rounding: apd.RoundHalfEven}

// unit converts to base units: (value × slope + offset) / divisor.
type unit struct {
	name                   string
	slope, offset, divisor apd.Decimal
}

// newUnit has the factor and the offset, in the canonical unit.
func newUnit(name string, factor, offset *big.Rat) *unit {
	u := &unit{name: name}
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
var units = unitCache{codes: map[string]*unit{}}

// maxUnits is far above what the resources of one installation use.
const maxUnits = 4096

type unitCache struct {
	mu    sync.RWMutex
	codes map[string]*unit
}

func (c *unitCache) get(code string) *unit {
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
