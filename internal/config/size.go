package config

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// sizeValue is a flag for a number of bytes: 4096, 512KiB, 32MiB, 2GiB.
type sizeValue int64

func size(f *pflag.FlagSet, p *int64, name string, value int64, usage string) {
	*p = value
	f.Var((*sizeValue)(p), name, usage)
}

var units = []struct {
	suffix string
	bytes  int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"", 1}}

var errSize = errors.New("want a size such as 512KiB, 32MiB or 2GiB")

func (s *sizeValue) Set(text string) error {
	for _, u := range units {
		number, ok := strings.CutSuffix(text, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/u.bytes {
			return errSize
		}
		*s = sizeValue(n * u.bytes)
		return nil
	}
	return errSize
}

func (s *sizeValue) String() string {
	for _, u := range units {
		if n := int64(*s); n >= u.bytes && n%u.bytes == 0 {
			return strconv.FormatInt(n/u.bytes, 10) + u.suffix
		}
	}
	return "0"
}

func (s *sizeValue) Type() string { return "size" }
