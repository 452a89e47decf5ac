package ucum

import (
	"math/big"
	"strings"
	"sync"

	"github.com/iimos/ucum"
)

// symbol is one unit symbol, its prefix included.
type symbol struct {
	dims   dimensions
	factor *big.Rat
	// alone: the symbol stands for a scale that is no ratio (Cel, [pH]); it
	// takes no part in products (UCUM §21).
	alone  bool
	offset *big.Rat // of such a scale
}

// dimensionForms are the forms in which the unit library's table has the
// dimensions of the symbols of UCUM. Its converter wants a base unit even
// where it cancels out ("g.g-1"), as the table happens to hold it; a test
// holds every symbol against this list.
var dimensionForms = []string{
	"1", "m", "m3", "g", "g.m2.s-2", "s", "m2", "g.m-1.s-2", "s-1", "rad", "g.g-1.m2.s-2", "g.m.s-2", "m-1", "m.s-1",
	"C.s-1", "C-1.g.m.m-1.s-1", "m.s-2", "cd.m-2", "C-1.g.m2.s-1", "C2.g-1.m-2.s", "g.m2.s-3", "g.m-4.s-1", "g.m-1",
	"cd.m-2.rad2", "rad2", "bit", "C2.g-1.m-2.s2", "C.m.m-1.s-1", "C-2.g.m2.s.s-1", "C.m-1.s-1", "C-2.g.m2.s-1",
	"g.m-1.s-1", "C.g-1", "m2.s-1", "C-1.g.m2.s-2", "g-1.m3.s-2", "K", "C", "g-1.m3.s-1", "C2.g-1.m-3.s2",
	"g.m2.s-1", "K-1.g.m2.s-2", "m.s.s-1", "C-2.g.m.s.s-1", "C.C-1.g.m2.s-2", "g.m-3", "cd.rad2", "cd",
}

// dimensionForm is one of them, ready for conversions.
type dimensionForm struct {
	unit ucum.Unit
	dims dimensions
}

var dimensionUnits = sync.OnceValue(func() []dimensionForm {
	forms := make([]dimensionForm, len(dimensionForms))
	for i, s := range dimensionForms {
		forms[i] = dimensionForm{ucum.MustParse([]byte(s)), baseDimensions(s)}
	}
	return forms
})

// baseDimensions reads a product of base units.
func baseDimensions(s string) dimensions {
	p := &unitParser{s: s}
	dims := dimensions{}
	for s != "1" && p.s != "" {
		name := p.name()
		e, _ := p.exponent()
		dims[name] += e
		p.take('.')
	}
	return dims
}

// symbolOf looks a symbol up in the library's table, nil when it is unknown.
func symbolOf(name string) *symbol {
	if strings.Trim(name, "0123456789") == "" {
		return wholeNumber(name)
	}
	u, err := ucum.Parse([]byte(name))
	if err != nil {
		return nil
	}
	if s := arbitrary(name, u); s != nil {
		return s
	}
	if logarithmic(name) {
		return own(name)
	}
	for _, form := range dimensionUnits() {
		conv, err := ucum.NewPairConverter(u, form.unit)
		if err != nil {
			continue
		}
		zero := conv.ConvBigRat(new(big.Rat))
		factor := conv.ConvBigRat(big.NewRat(1, 1))
		return &symbol{dims: form.dims, factor: factor.Sub(factor, zero), alone: zero.Sign() != 0, offset: zero}
	}
	if conv, err := ucum.NewPairConverter(u, ucum.MustParse([]byte("By"))); err == nil { // the table has it as 8 bit, and bit as 1
		return &symbol{factor: conv.ConvBigRat(big.NewRat(8, 1))}
	}
	return own(name)
}

// own is a scale that converts to nothing else.
func own(name string) *symbol {
	return &symbol{dims: dimensions{name: 1}, factor: big.NewRat(1, 1), alone: true, offset: new(big.Rat)}
}

// arbitrary is the symbol of an arbitrary unit, which is not commensurable with
// any other (UCUM §24); the library takes most of them for the number 1.
func arbitrary(name string, u ucum.Unit) *symbol {
	at := strings.IndexByte(name, '[')
	if at < 0 || !arbitraryUnits[name[at:]] {
		return nil
	}
	base := name[at:]
	conv, err := ucum.NewPairConverter(u, ucum.MustParse([]byte(base)))
	if err != nil {
		return nil
	}
	if base == "[IU]" {
		base = "[iU]"
	}
	return &symbol{dims: dimensions{base: 1}, factor: conv.ConvBigRat(big.NewRat(1, 1))}
}

// logarithmic reports whether the symbol, after at most two letters of a
// prefix, is one of the special units whose function is no straight line
// (UCUM §45). The library has them in floating point, which overflows.
func logarithmic(name string) bool {
	for i := 0; i <= 2 && i < len(name); i++ {
		if curvedUnits[name[i:]] {
			return true
		}
	}
	return false
}

var curvedUnits = map[string]bool{
	"[p'diop]": true, "%[slope]": true, "[hp'_X]": true, "[hp'_C]": true, "[hp'_M]": true, "[hp'_Q]": true, "[pH]": true, "Np": true,
	"B": true, "B[SPL]": true, "B[V]": true, "B[mV]": true, "B[uV]": true, "B[10.nV]": true, "B[W]": true, "B[kW]": true,
	"[m/s2/Hz^(1/2)]": true, "bit_s": true,
}

// arbitraryUnits are those that UCUM's table marks as arbitrary.
var arbitraryUnits = map[string]bool{
	"[hp_X]": true, "[hp_C]": true, "[hp_M]": true, "[hp_Q]": true, "[kp_X]": true, "[kp_C]": true, "[kp_M]": true, "[kp_Q]": true,
	"[iU]": true, "[IU]": true, "[arb'U]": true, "[USP'U]": true, "[GPL'U]": true, "[MPL'U]": true, "[APL'U]": true, "[beth'U]": true,
	"[anti'Xa'U]": true, "[todd'U]": true, "[dye'U]": true, "[smgy'U]": true, "[bdsk'U]": true, "[ka'U]": true, "[knk'U]": true,
	"[mclg'U]": true, "[tb'U]": true, "[CCID_50]": true, "[TCID_50]": true, "[EID_50]": true, "[PFU]": true, "[FFU]": true, "[CFU]": true,
	"[IR]": true, "[BAU]": true, "[AU]": true, "[Amb'a'1'U]": true, "[PNU]": true, "[Lf]": true, "[D'ag'U]": true, "[FEU]": true,
	"[ELU]": true, "[EU]": true, "[hnsf'U]": true, "[NTU]": true, "[FNU]": true,
}
