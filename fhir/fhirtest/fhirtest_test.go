package fhirtest

import "testing"

func TestCounts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		want int
		got  func() int
	}{
		{"examples", 375, func() (n int) {
			for range Examples(t) {
				n++
			}
			return n
		}},
		{"synthea", 3, func() (n int) {
			for range Synthea(t) {
				n++
			}
			return n
		}},
		{"information", 2, func() (n int) {
			for range SyntheaInformation(t) {
				n++
			}
			return n
		}},
	} {
		if got := c.got(); got != c.want {
			t.Errorf("%s: %d files, want %d", c.name, got, c.want)
		}
	}
}

func TestEmbeddedDataStaysSmall(t *testing.T) {
	t.Parallel()
	if n := len(examplesArchive) + len(syntheaArchive) + len(informationArchive); n > 2_500_000 {
		t.Errorf("%d bytes embedded", n)
	}
}
