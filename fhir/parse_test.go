package fhir_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/fhirtest"
)

// compact removes whitespace outside strings; written without the parser.
func compact(b []byte) []byte {
	var out []byte
	quoted, escaped := false, false
	for _, c := range b {
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ' ' || c == '\n' || c == '\r' || c == '\t'):
			continue
		}
		out = append(out, c)
	}
	return out
}

func roundTrip(t *testing.T, name string, b []byte) {
	t.Helper()
	r, err := fhir.Parse(b, fhir.DefaultLimits)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	if got := r.AppendJSON(nil); !bytes.Equal(got, compact(b)) {
		t.Errorf("%s: bytes changed", name)
	}
	if got := r.Clone().AppendJSON(nil); !bytes.Equal(got, compact(b)) {
		t.Errorf("%s: bytes changed in the clone", name)
	}
}

func TestOfficialExamplesAndSyntheaKeepTheirBytes(t *testing.T) {
	t.Parallel()
	for name, b := range fhirtest.Examples(t) {
		roundTrip(t, name, b)
	}
	for name, b := range fhirtest.Synthea(t) {
		roundTrip(t, name, b)
	}
	for name, b := range fhirtest.SyntheaInformation(t) {
		roundTrip(t, name, b)
	}
}

func TestParseKeepsLiterals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, json string }{
		{"decimals", `{"resourceType":"X","v":[1.0,1.00,1e-7,-0,0.0,123456789012345678901.234,1E+5]}`},
		{"primitive extension", `{"resourceType":"X","birthDate":"1970","_birthDate":{"extension":[]},"given":["A",null],"_given":[null,{"id":"x"}]}`},
		{"narrative", `{"resourceType":"X","text":{"div":"<div>a & b \u003c \/ é</div>"}}`},
		{"escapes", `{"resourceType":"X","a":"\"\\\/\b\f\n\r\t\u00e9\uD83D\uDE00\u2028"}`},
		{"escaped names", `{"resourceTyp\u0065":"X","n\u0061me":{"\u0061":[{"\"":1}]},"\/":"x"}`},
		{"empty containers and strings", `{"resourceType":"X","a":{},"b":[],"c":"","":null}`},
		{"line separator", "{\"resourceType\":\"X\",\"a\":\"\u2028\u2029\U0001F600\"}"},
		{"whitespace", "\t{ \"resourceType\" :\r\n\"X\" , \"a\" : [ 1 , \" \\\" \" ] } \n"},
	} {
		t.Run(c.name, func(t *testing.T) { roundTrip(t, c.name, []byte(c.json)) })
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	many := make([]string, 100)
	for i := range many {
		many[i] = fmt.Sprintf(`"m%d":0`, i)
	}
	for _, c := range []struct {
		name, json string
		offset     int
		path       string
	}{
		{"duplicate name", `{"resourceType":"X","a":{"b":1,"b":2}}`, 31, "a.b"},
		{"duplicate name under another escape", `{"resourceType":"X","a":[{"b":1,"\u0062":2}]}`, 32, "a[0].b"},
		{"duplicate resourceType", `{"resourceType":"X","resourceType":"X"}`, 20, "resourceType"},
		{"duplicate among many", `{` + strings.Join(many, ",") + `,"m7":1}`, 791, "m7"},
		{"duplicate empty name", `{"":1,"":2}`, 6, "?"},
		{"invalid UTF-8 in a string", "{\"resourceType\":\"X\",\"a\":\"\xff\"}", 25, "a"},
		{"invalid UTF-8 in a name", "{\"resourceType\":\"X\",\"\xc3\":1}", 21, ""},
		{"invalid UTF-8 after an escape", "{\"a\":\"\\n\xed\xa0\x80\"}", 8, "a"},
		{"overlong UTF-8", "{\"a\":\"\xc0\x80\"}", 6, "a"},
		{"invalid UTF-8 outside strings", "{\"a\":\xff}", 5, "a"},
		{"lone high surrogate", `{"a":"\ud800"}`, 6, "a"},
		{"lone low surrogate", `{"a":"x\udc00\ud800"}`, 7, "a"},
		{"two high surrogates", `{"a":"\ud800\ud800"}`, 6, "a"},
		{"high surrogate cut off", `{"a":"\ud800\u12"}`, 6, "a"},
		{"raw NUL", "{\"a\":\"\x00\"}", 6, "a"},
		{"escaped NUL", `{"a":"\u0000"}`, 6, "a"},
		{"NUL between tokens", "{\x00}", 1, ""},
		{"control character", "{\"a\":\"\n\"}", 6, "a"},
		{"unknown escape", `{"a":"\x41"}`, 6, "a"},
		{"plus sign", `{"a":+1}`, 5, "a"},
		{"leading zero", `{"a":[01]}`, 6, "a[0]"},
		{"negative leading zero", `{"a":-01}`, 5, "a"},
		{"no whole part", `{"a":.5}`, 5, "a"},
		{"no fraction", `{"a":1.}`, 7, "a"},
		{"no exponent", `{"a":1e}`, 7, "a"},
		{"huge exponent", `{"a":1e999999}`, 7, "a"},
		{"overflowing exponent", `{"a":1e-99999999999999999999999}`, 8, "a"},
		{"65 digits", `{"a":` + strings.Repeat("1", 65) + `}`, 5, "a"},
		{"NaN", `{"a":NaN}`, 5, "a"},
		{"trailing bytes", `{"resourceType":"X"} {}`, 21, ""},
		{"trailing comma", `{"a":[1,]}`, 8, "a[1]"},
		{"byte order mark", "\xef\xbb\xbf{}", 0, ""},
		{"cut off", `{"a":[{"b":"c`, 13, "a[0].b"},
		{"empty", ``, 0, ""},
		{"comment", `{/**/}`, 1, ""},
		{"single quotes", `{'a':1}`, 1, ""},
		{"name that is a value", `{"123-45-6789":tru}`, 15, "?"},
		{"no resourceType", `{}`, 0, "resourceType"},
		{"resourceType not a string", `{"resourceType":["Patient"]}`, 0, "resourceType"},
		{"resourceType empty", `{"resourceType":""}`, 0, "resourceType"},
		{"resourceType not a name", `{"resourceType":"../x"}`, 0, "resourceType"},
		{"not an object", `[]`, 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := fhir.Parse([]byte(c.json), fhir.DefaultLimits)
			var s *fhir.SyntaxError
			if !errors.As(err, &s) {
				t.Fatalf("err = %v", err)
			}
			if s.Offset != c.offset || s.Path != c.path {
				t.Errorf("at %d %q, want %d %q (%s)", s.Offset, s.Path, c.offset, c.path, s.Reason)
			}
		})
	}
}

func TestParseAcceptsTheLimits(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 100) + strings.Repeat("]", 100)
	for _, s := range []string{deep, strings.Repeat("9", 64), "1e308", "1e-308", "-0.0e+0"} {
		if _, err := fhir.ParseValue([]byte(s), fhir.Limits{}); err != nil {
			t.Errorf("%.20s: %v", s, err)
		}
	}
	if _, err := fhir.ParseValue([]byte("["+deep+"]"), fhir.Limits{}); err == nil {
		t.Error("101 levels accepted")
	}
}

func TestErrorsNeverShowValues(t *testing.T) {
	t.Parallel()
	const secret = "Mustermann"
	for _, s := range []string{
		`{"name":"` + secret + `" x}`, `{"` + secret + ` 1":"\ud800"}`, `{"a":"` + secret + `","a":"` + secret + `"}`,
		`{"resourceType":"` + secret + `!"}`, `{"a":"` + secret + "\x00",
	} {
		_, err := fhir.Parse([]byte(s), fhir.DefaultLimits)
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("err = %v", err)
		}
	}
}

func TestBundleNestedFiftyDeepIsRefused(t *testing.T) {
	t.Parallel()
	s := strings.Repeat(`{"resourceType":"Bundle","entry":[{"resource":`, 50) + "{}" + strings.Repeat("}]}", 50)
	if _, err := fhir.Parse([]byte(s), fhir.DefaultLimits); err == nil {
		t.Error("accepted")
	}
}

func TestOversizedInputIsRefusedBeforeParsing(t *testing.T) {
	t.Parallel()
	if _, err := fhir.Parse(make([]byte, 101), fhir.Limits{MaxBytes: 100}); !errors.Is(err, fhir.ErrTooLarge) {
		t.Errorf("err = %v", err)
	}
}

// Not parallel: it reads the allocation counters of the process.
func TestTenThousandLevelsCostLittleMemory(t *testing.T) {
	for _, s := range []string{strings.Repeat("[", 10000), strings.Repeat(`{"a":`, 10000)} {
		b := []byte(s)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := fhir.ParseValue(b, fhir.DefaultLimits)
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Error("accepted")
		}
		if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
			t.Errorf("%d bytes allocated", used)
		}
	}
}

// Not parallel: it reads the allocation counters of the process.
func TestArrayOfDigitsDoesNotMultiplyMemory(t *testing.T) {
	b := []byte("[" + strings.Repeat("0,", 4<<20-2) + "0]")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := fhir.ParseValue(b, fhir.DefaultLimits)
	runtime.ReadMemStats(&after)
	if err == nil {
		t.Error("accepted")
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 256<<20 {
		t.Errorf("%d bytes allocated", used)
	}
}

func TestHostileObjectWithManyNamesIsLinear(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	b.WriteString(`{"x":0`)
	for i := range 200_000 { // a scan would compare 2e10 names
		fmt.Fprintf(&b, `,"a%06db":0`, i)
	}
	b.WriteString("}")
	start := time.Now()
	if _, err := fhir.ParseValue(b.Bytes(), fhir.DefaultLimits); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(start); d > time.Minute {
		t.Errorf("took %v", d)
	}
}

// The test parses in between to overwrite reused memory.
func TestPooledParserDoesNotShareTrees(t *testing.T) {
	t.Parallel()
	a, err := fhir.Parse([]byte(`{"resourceType":"A","x":[1,2,3],"y":{"z":"q"}}`), fhir.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	want := string(a.AppendJSON(nil))
	for range 100 {
		if _, err := fhir.Parse([]byte(`{"resourceType":"B","v":["a",{"b":[true]}],"w":null}`), fhir.Limits{}); err != nil {
			t.Fatal(err)
		}
	}
	a.Root().Member("x").Append(fhir.NewBool(true))
	if got := string(a.AppendJSON(nil)); got != strings.Replace(want, "3]", "3,true]", 1) {
		t.Error(got)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"resourceType":"X","a":[1.00,null,"\u00e9"]}`, `{"\u0061":1,"a":2}`, `[[[1e5]]]`, "\"\\ud83d\\ude00é\"", ` {"":{}} `, "\xef\xbb\xbf1", `"\ud800"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := fhir.ParseValue(b, fhir.Limits{})
		if err != nil {
			var s *fhir.SyntaxError
			if !errors.As(err, &s) || s.Offset < 0 || s.Offset > len(b) {
				t.Fatalf("%v", err)
			}
			return
		}
		if !json.Valid(b) {
			t.Fatal("accepted what encoding/json refuses")
		}
		out := n.AppendJSON(nil)
		if !bytes.Equal(out, compact(b)) {
			t.Fatalf("bytes changed: %q → %q", b, out)
		}
		checkText(t, &n)
	})
}

// checkText compares decoded strings with encoding/json.
func checkText(t *testing.T, n *fhir.Node) {
	if n.Kind() == fhir.String {
		var want string
		if err := json.Unmarshal(n.Raw(), &want); err != nil || n.Text() != want {
			t.Fatalf("text %q, want %q (%v)", n.Text(), want, err)
		}
		if fresh := fhir.NewString(want); fresh.Text() != want || !json.Valid(fresh.Raw()) {
			t.Fatalf("NewString(%q) = %s", want, fresh.Raw())
		}
	}
	for i := range n.Len() {
		checkText(t, n.At(i))
	}
}

// FuzzAccept holds the other direction: what encoding/json accepts and only
// the stated rules refuse is accepted.
func FuzzAccept(f *testing.F) {
	f.Add("a", "b\u2028", int64(5), 1.5)
	f.Fuzz(func(t *testing.T, name, text string, i int64, x float64) {
		if strings.Contains(name+text, "\x00") || name == "n" || name == "x" {
			t.Skip()
		}
		b, err := json.Marshal(map[string]any{name: text, "n": i, "x": []any{x, nil, true}})
		if err != nil {
			t.Skip()
		}
		if n, err := fhir.ParseValue(b, fhir.Limits{}); err != nil || !bytes.Equal(n.AppendJSON(nil), b) {
			t.Fatalf("%s: %v", b, err)
		}
	})
}
