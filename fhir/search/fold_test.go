package search_test

import (
	"testing"

	"github.com/fieldseal/fieldseal/fhir/search"
)

func TestFold(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                 "",
		"smith":            "smith",
		"Smith":            "smith",
		"Müller":           "muller",
		"Mu\u0308ller":     "muller",
		"STRASSE":          "strasse",
		"Straße":           "strasse",
		"O'Brien":          "obrien",
		"O’Brien":          "obrien",
		"O´Brien":          "obrien",
		"O`Brien":          "obrien",
		"Smith-Jones":      "smith jones",
		"  St.  John \t":   "st john",
		"1, Main Street":   "1 main street",
		"Łódź":             "lodz",
		"Ærøskøbing":       "aeroskobing",
		"Þórðardóttir":     "thordardottir",
		"İstanbul":         "istanbul",
		"ﬁnancial":         "financial",
		"ΟΔΥΣΣΕΥΣ":         "οδυσσευσ",
		"Οδυσσεύς":         "οδυσσευσ",
		"Кот":              "кот",
		"東京":               "東京",
		"...":              "",
		"a\u00a0b":         "a b",
		"Ｆｕｌｌ":             "full",
		"\u00e9te\u0301":   "ete",
		"x_y/z":            "x y z",
		"a\x00b":           "a b",
		"two  spaces":      "two spaces",
		"Nguyễn":           "nguyen",
		"D'Arcy-O'Neill,x": "darcy oneill x",
	} {
		if got := search.Fold(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func FuzzFold(f *testing.F) {
	f.Add("O'Brien-Müller")
	f.Add("ǅ ŉ \u0345")
	f.Fuzz(func(t *testing.T, s string) {
		once := search.Fold(s)
		if twice := search.Fold(once); twice != once {
			t.Fatalf("%q becomes %q, then %q", s, once, twice)
		}
	})
}
