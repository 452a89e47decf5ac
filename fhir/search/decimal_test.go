package search_test

import (
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/fhir/search"
)

// R4 search.html#number.
func TestImpliedRange(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, low, high string }{
		{"100", "99.5", "100.5"}, {"100.00", "99.995", "100.005"}, {"1e2", "50", "150"}, {"1.0E-3", "0.00095", "0.00105"},
		{"0", "-0.5", "0.5"}, {"-2", "-2.5", "-1.5"}, {"5.4", "5.35", "5.45"}, {"1E+2", "50", "150"},
	} {
		_, low, high, ok := search.ImpliedRange(tt.text)
		if !ok || low.Text('f') != tt.low || high.Text('f') != tt.high {
			t.Errorf("%s: %v..%v %v", tt.text, low, high, ok)
		}
	}
	for _, text := range []string{"", "x", "NaN", "Infinity", "+1", "1e999", "1e-999", "1e99999999999", "--1", "1.2.3", "0x10", "1_0", strings.Repeat("9", 200)} {
		if _, _, _, ok := search.ImpliedRange(text); ok {
			t.Errorf("%q was read", text)
		}
	}
}
