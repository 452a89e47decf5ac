package keyring

import (
	"encoding/binary"
	"fmt"
	"time"
)

// appendLP appends a 4-byte big-endian length and the bytes, so that
// neighbouring parts cannot shift into one another.
func appendLP[T ~[]byte | ~string](dst []byte, s T) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(s)))
	return append(dst, s...)
}

func appendTime(dst []byte, t time.Time) []byte {
	return binary.BigEndian.AppendUint64(dst, uint64(t.UnixMicro()))
}

// decoder reads a row; after the first fault it returns zeros and keeps bad.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) take(n int) []byte {
	if d.bad || n < 0 || n > len(d.b) {
		d.bad = true
		return nil
	}
	p := d.b[:n:n]
	d.b = d.b[n:]
	return p
}

func (d *decoder) u8() byte {
	if p := d.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (d *decoder) u32() uint32 {
	if p := d.take(4); p != nil {
		return binary.BigEndian.Uint32(p)
	}
	return 0
}

func (d *decoder) time() time.Time {
	if p := d.take(8); p != nil {
		return time.UnixMicro(int64(binary.BigEndian.Uint64(p))).UTC()
	}
	return time.Time{}
}

func (d *decoder) id() (id [16]byte) {
	copy(id[:], d.take(16))
	return id
}

func (d *decoder) lp() []byte {
	n := d.u32()
	if uint64(n) > uint64(len(d.b)) {
		d.bad = true
		return nil
	}
	return append([]byte(nil), d.take(int(n))...)
}

// count reads a number of items of at least size bytes each, so that a
// damaged count cannot make the reader allocate or loop for long.
func (d *decoder) count(size int) int {
	n := d.u32()
	if uint64(n)*uint64(size) > uint64(len(d.b)) {
		d.bad = true
		return 0
	}
	return int(n)
}

// magic checks the four letters that name the kind and version of a row.
func (d *decoder) magic(want string) {
	if string(d.take(len(want))) != want {
		d.bad = true
	}
}

// end reports whether the row was read to its end without a fault.
func (d *decoder) end(what string) error {
	if d.bad || len(d.b) != 0 {
		return fmt.Errorf("%s row: %w", what, ErrCorrupt)
	}
	return nil
}
