package field

import "math/bits"

// Padded lengths grow in steps so that a ciphertext tells only a bucket:
// multiples of 16 up to 128, of 32 up to 512, then of one sixteenth of the
// power of two below. JSON is padded with spaces, which no value ends in;
// slot maps and heads with zero bytes.
func padded(n int) int {
	step := 16
	switch {
	case n > 512:
		step = 1 << (bits.Len(uint(n-1)) - 5)
	case n > 128:
		step = 32
	}
	return max(16, (n+step-1)/step*step)
}

func pad(b []byte, start int, fill byte) []byte {
	for n := padded(len(b) - start); len(b)-start < n; {
		b = append(b, fill)
	}
	return b
}

func trimSpaces(b []byte) []byte {
	for len(b) > 0 && b[len(b)-1] == ' ' {
		b = b[:len(b)-1]
	}
	return b
}
