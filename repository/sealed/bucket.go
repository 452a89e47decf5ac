package sealed

import (
	"math"
	"strconv"

	"github.com/cockroachdb/apd/v3"
)

// Numbers are indexed by buckets on a logarithmic scale, eight to an octave, and
// by the octave and eight octaves that hold a bucket. Which bucket a number
// falls into is read off the bits of the nearest float64: that is monotone, so
// that a range of numbers is a range of buckets. Magnitudes outside of 2⁻⁶⁴ to
// 2⁶⁴ share the outermost buckets; the recheck decides on exact decimals.
const (
	bucketsPerOctave = 8
	octaves          = 128
	bucketCount      = octaves * bucketsPerOctave
	mantissaBits     = 52
)

// bucketOf numbers the buckets from the most negative to the largest number;
// zero is the bucket between.
func bucketOf(d *apd.Decimal) int {
	f, err := d.Float64()
	if err != nil && f == 0 && !d.IsZero() { // too small for a float64
		f = math.SmallestNonzeroFloat64
		if d.Negative {
			f = -f
		}
	}
	if f == 0 || math.IsNaN(f) {
		return 0
	}
	bits := math.Float64bits(math.Abs(f)) >> (mantissaBits - 3)
	low := uint64(1023-octaves/2) << 3
	b := 1 + int(min(max(bits, low)-low, bucketCount-1))
	if f < 0 {
		return -b
	}
	return b
}

// buckets are the nodes that hold the number.
func buckets(d *apd.Decimal, visit func(string)) {
	b := bucketOf(d)
	if b == 0 {
		visit("0")
		return
	}
	sign := "+"
	if b < 0 {
		sign, b = "-", -b
	}
	b--
	visit(sign + "b" + strconv.Itoa(b))
	visit(sign + "o" + strconv.Itoa(b/bucketsPerOctave))
	visit(sign + "h" + strconv.Itoa(b/bucketsPerOctave/8))
}

// coverNumbers visits nodes that together hold every number from low to high;
// nil is an open end. The neighbours of the outermost buckets are taken in:
// conversions of units round.
func coverNumbers(low, high *apd.Decimal, visit func(string)) {
	from, to := -bucketCount, bucketCount
	if low != nil {
		from = max(bucketOf(low)-1, -bucketCount)
	}
	if high != nil {
		to = min(bucketOf(high)+1, bucketCount)
	}
	if from <= 0 && to >= 0 {
		visit("0")
	}
	if to > 0 {
		coverBuckets(max(from, 1)-1, to-1, "+", visit)
	}
	if from < 0 {
		coverBuckets(max(-to, 1)-1, -from-1, "-", visit)
	}
}

// coverBuckets visits the largest nodes within [from, to].
func coverBuckets(from, to int, sign string, visit func(string)) {
	for from <= to {
		switch {
		case from%64 == 0 && from+63 <= to:
			visit(sign + "h" + strconv.Itoa(from/64))
			from += 64
		case from%8 == 0 && from+7 <= to:
			visit(sign + "o" + strconv.Itoa(from/8))
			from += 8
		default:
			visit(sign + "b" + strconv.Itoa(from))
			from++
		}
	}
}
