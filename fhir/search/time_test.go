package search_test

import (
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/fhir/search"
)

func when(micros int64) string {
	switch micros {
	case search.Beginning:
		return "beginning"
	case search.EndOfTime:
		return "end"
	}
	return time.UnixMicro(micros).UTC().Format(time.RFC3339Nano)
}

func TestParseTime(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text, from, until string }{
		{"year", "2020", "2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z"},
		{"first year", "0001", "0001-01-01T00:00:00Z", "0002-01-01T00:00:00Z"},
		{"last year", "9999", "9999-01-01T00:00:00Z", "10000-01-01T00:00:00Z"},
		{"month", "2020-12", "2020-12-01T00:00:00Z", "2021-01-01T00:00:00Z"},
		{"leap day", "2020-02-29", "2020-02-29T00:00:00Z", "2020-03-01T00:00:00Z"},
		{"minute", "2020-01-01T10:30", "2020-01-01T10:30:00Z", "2020-01-01T10:31:00Z"},
		{"minute and zone", "2020-01-01T10:30+02:00", "2020-01-01T08:30:00Z", "2020-01-01T08:31:00Z"},
		{"second", "2020-01-01T10:30:59Z", "2020-01-01T10:30:59Z", "2020-01-01T10:31:00Z"},
		{"no zone counts as UTC", "2020-01-01T10:30:59", "2020-01-01T10:30:59Z", "2020-01-01T10:31:00Z"},
		{"west", "2020-01-01T20:00:00-05:30", "2020-01-02T01:30:00Z", "2020-01-02T01:30:01Z"},
		{"millisecond", "2020-01-01T00:00:00.123Z", "2020-01-01T00:00:00.123Z", "2020-01-01T00:00:00.124Z"},
		{"tenth", "2020-01-01T00:00:00.5Z", "2020-01-01T00:00:00.5Z", "2020-01-01T00:00:00.6Z"},
		{"microsecond", "2020-01-01T00:00:00.123456Z", "2020-01-01T00:00:00.123456Z", "2020-01-01T00:00:00.123457Z"},
		{"nanosecond is cut", "2020-01-01T00:00:00.123456789Z", "2020-01-01T00:00:00.123456Z", "2020-01-01T00:00:00.123457Z"},
		{"leap second", "2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z", "2017-01-01T00:00:01Z"},
		{"farthest zone", "2020-01-01T00:00:00+14:00", "2019-12-31T10:00:00Z", "2019-12-31T10:00:01Z"},
	} {
		from, until, ok := search.ParseTime(tt.text)
		if !ok || when(from) != tt.from || when(until) != tt.until {
			t.Errorf("%s: %s..%s %v", tt.name, when(from), when(until), ok)
		}
	}
	for _, text := range []string{
		"", "0000", "20", "202", "20200", "2020-", "2020-1", "2020-13", "2020-00", "2020-02-30", "2021-02-29", "2020-01-00", "2020-01-01T", "2020-01-01 10:00",
		"2020-01-01T10", "2020-01-01T24:00", "2020-01-01T10:60", "2020-01-01T10:00:61", "2020-01-01T10:00:", "2020-01-01T10:00:00.", "2020-01-01T10:00:00.Z",
		"2020-01-01T10:00:00z", "2020-01-01T10:00:00+2:00", "2020-01-01T10:00:00+14:01", "2020-01-01T10:00:00+0200", "2020-01-01T10:00:00Zx", "2020-01-01Z",
		"-2020", "+2020", "2020-01-01T10:00:00+", " 2020", "2020 ", "２０２０", strings.Repeat("9", 5000),
	} {
		if _, _, ok := search.ParseTime(text); ok {
			t.Errorf("%q was read", text)
		}
	}
}

func FuzzParseTime(f *testing.F) {
	f.Add("2020-01-01T10:00:00.5+02:00")
	f.Add("2016-12-31T23:59:60Z")
	f.Fuzz(func(t *testing.T, s string) {
		from, until, ok := search.ParseTime(s)
		if ok && until <= from {
			t.Fatalf("%q is empty", s)
		}
		if want, err := time.Parse(time.RFC3339Nano, s); err == nil && ok && want.Truncate(time.Microsecond).UnixMicro() != from {
			t.Fatalf("%q: %s, want %s", s, when(from), want)
		}
	})
}
