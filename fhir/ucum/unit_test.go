package ucum_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/apd/v3"

	"github.com/fieldseal/fieldseal/fhir/ucum"
)

func number(t testing.TB, s string) *apd.Decimal {
	t.Helper()
	d, _, err := apd.NewFromString(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestCanonical(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ value, code, want, unit string }{
		{"1", "mg/dL", "10", "g.m-3"}, {"10", "mg/L", "10", "g.m-3"}, {"5.40", "mg", "0.0054", "g"},
		{"37.0", "Cel", "310.15", "K"}, {"98.6", "[degF]", "310.15", "K"}, {"0", "K", "0", "K"}, {"1", "mCel", "273.151", "K"},
		{"1", "Gy", "1", "m2.s-2"}, {"1", "J/kg", "1", "m2.s-2"}, {"120", "mm[Hg]", "15998640", "g.m-1.s-2"}, {"1", "kPa", "1000000", "g.m-1.s-2"},
		{"3", "{score}", "3", "1"}, {"60", "/min", "1", "s-1"}, {"60", "{beats}/min", "1", "s-1"}, {"7", "1", "7", "1"}, {"50", "%", "0.5", "1"},
		{"1", "10*3/uL", "1000000000000", "m-3"}, {"2", "10*-3", "0.002", "1"}, {"1", "10^6", "1000000", "1"}, {"1", "kg.m/s2", "1000", "g.m.s-2"},
		{"1", "N", "1000", "g.m.s-2"}, {"1", "L/(min.m2)", "0.00001" + strings.Repeat("6", 58) + "7", "m.s-1"},
		{"1", "m[IU]/mL", "1000", "[iU].m-3"}, {"1", "[iU]/L", "1000", "[iU].m-3"}, {"1", "[CFU]/mL", "1000000", "[CFU].m-3"},
		{"7.4", "[pH]", "7.4", "[pH]"}, {"3", "dB", "3", "dB"}, {"1", "ng/mL{FEU}", "0.001", "g.m-3"}, {"1", "m0", "1", "1"}, {"2", "kBy", "16000", "1"},
		{"1", "a", "31557600", "s"}, {"1", "T", "1000", "C-1.g.s-1"}, {"1", "Wb/m2", "1000", "C-1.g.s-1"}, {"-1", "cm", "-0.01", "m"},
	} {
		unit, v, ok := ucum.Canonical(ucum.System, tt.code, number(t, tt.value))
		if !ok || unit != tt.unit || v.Text('f') != tt.want {
			t.Errorf("%s %s: %v %s %v", tt.value, tt.code, v, unit, ok)
		}
	}
	for _, code := range []string{
		"", " ", "mg ", "m g", "foo", "{", "}", "{a", "m{", "(", "(m", "m)", "()", "m//s", "m.", "m-", "m+", "[degF]2", "/Cel", "Cel/m", "[pH].m", "m/0", "0",
		"m999", "m-999", "m[H2O", strings.Repeat("m.", 100) + "m", strings.Repeat("(", 60), "10*30.10*31", "m30.m30",
	} {
		if unit, _, ok := ucum.Canonical(ucum.System, code, number(t, "1")); ok {
			t.Errorf("%q was taken for %s", code, unit)
		}
	}
	if _, _, ok := ucum.Canonical("http://snomed.info/sct", "mg", number(t, "1")); ok {
		t.Error("another system was taken for UCUM")
	}
}

// The same unit by two names is the same number, exactly.
func TestCanonicalIsExact(t *testing.T) {
	t.Parallel()
	for _, pair := range [][4]string{
		{"0.1", "g", "100", "mg"}, {"3", "h", "180", "min"}, {"1", "[in_i]", "2.54", "cm"}, {"1", "[lb_av]", "453.59237", "g"},
		{"5.5", "mmol/L", "5500", "umol/L"}, {"1", "mm[Hg]", "133.322", "Pa"}, {"100", "Cel", "212", "[degF]"}, {"-40", "Cel", "-40", "[degF]"},
	} {
		u1, a, ok1 := ucum.Canonical(ucum.System, pair[1], number(t, pair[0]))
		u2, b, ok2 := ucum.Canonical(ucum.System, pair[3], number(t, pair[2]))
		if !ok1 || !ok2 || u1 != u2 || a.Cmp(b) != 0 {
			t.Errorf("%v: %s %s, %s %s", pair, a, u1, b, u2)
		}
	}
}

// Codes are the client's: neither memory nor time may follow them.
func TestManyUnitCodesStayBounded(t *testing.T) {
	t.Parallel()
	start := time.Now()
	for i := range 20_000 {
		ucum.Canonical(ucum.System, fmt.Sprintf("m{%d}", i), number(t, "1"))
	}
	if took := time.Since(start); took > time.Minute {
		t.Fatalf("20,000 codes took %s", took)
	}
}

func FuzzCanonical(f *testing.F) {
	for _, s := range []string{"mg/dL", "10*3/uL{x}", "(m.s)2", "[degF]", "YNp", "/m"} {
		f.Add(s)
	}
	one := apd.New(1, 0)
	f.Fuzz(func(t *testing.T, code string) {
		unit, v, ok := ucum.Canonical(ucum.System, code, one)
		if ok != (v != nil) || ok == (unit == "") {
			t.Fatalf("%q: %q %v %v", code, unit, v, ok)
		}
	})
}
