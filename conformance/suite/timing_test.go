package suite

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

const (
	timingPairs = 2000
	// timingBound is the threshold of the usual leakage assessment: above it,
	// two timings differ with a confidence of 99.999 %.
	timingBound = 4.5
	// timingGap is by how much medians differ at least when it is not the
	// machine: interleaved pairs on a busy one stay within a few percent.
	timingGap = 0.1
)

// sample is a running mean and variance (Welford), and all values.
type sample struct {
	n, mean, m2 float64
	all         []float64
}

// median holds against what single outliers do to a mean.
func (s *sample) median() float64 {
	slices.Sort(s.all)
	return s.all[len(s.all)/2]
}

func (s *sample) add(x float64) {
	s.n++
	d := x - s.mean
	s.mean += d / s.n
	s.m2 += d * (x - s.mean)
	s.all = append(s.all, x)
}

// welch is Welch's t of two samples.
func welch(a, b *sample) float64 {
	return (a.mean - b.mean) / math.Sqrt(a.m2/(a.n-1)/a.n+b.m2/(b.n-1)/b.n)
}

// What does not exist and what the caller may not see take the same time
// (abuse 41 and 46). That they cost the same operations is counted in every run
// (TestInvisibleCostsWhatUnknownCosts in fhir/interaction).
func TestInvisibleAndUnknownTakeTheSameTime(t *testing.T) {
	if !long() {
		t.Skip("timing: FIELDSEAL_LONG=1")
	}
	s := start(t)
	p := person("")
	other := s.create(t, p)
	for _, c := range []struct{ name, role, known, unknown string }{
		{"41 read", patient, "/Patient/" + other, "/Patient/" + flipLast(other)},
		{"42 history", patient, "/Patient/" + other + "/_history", "/Patient/" + flipLast(other) + "/_history"},
		{"46 identifier", researcher, "/Patient?identifier=" + identifierOf(p), "/Patient?identifier=" + flipLast(identifierOf(p))},
	} {
		var known, unknown sample
		for range timingPairs {
			if rand.N(2) == 0 {
				known.add(s.clock(t, c.role, c.known))
				unknown.add(s.clock(t, c.role, c.unknown))
			} else {
				unknown.add(s.clock(t, c.role, c.unknown))
				known.add(s.clock(t, c.role, c.known))
			}
		}
		tt := welch(&known, &unknown)
		gap := math.Abs(known.median()/unknown.median() - 1)
		t.Logf("%s: known %.0f µs, unknown %.0f µs, t = %.2f, medians differ by %.1f %%", c.name, known.mean, unknown.mean, tt, 100*gap)
		if math.Abs(tt) >= timingBound && gap > timingGap {
			t.Errorf("%s: t = %.2f and medians that differ by %.1f %% tell known from unknown", c.name, tt, 100*gap)
		}
	}
}

// clock is the time of one request in microseconds; what took longer than
// 50 ms was the machine.
func (s *server) clock(t *testing.T, role, path string) float64 {
	for {
		began := time.Now()
		s.do(t, role, "GET", path, nil)
		if d := time.Since(began); d < 50*time.Millisecond {
			return float64(d.Nanoseconds()) / 1000
		}
	}
}
