package patch

import (
	"errors"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/fhir"
)

func applyJSON(t *testing.T, doc, patch string) (string, error) {
	t.Helper()
	root := value(t, []byte(doc))
	p, err := ParseJSON([]byte(patch), fhir.DefaultLimits)
	if err != nil {
		return "", err
	}
	if err := p.Apply(&root); err != nil {
		return "", err
	}
	return string(root.AppendJSON(nil)), nil
}

func TestJSONPatchKeepsWhatItDoesNotTouch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, doc, patch, want string }{
		{"digits, exponents, escapes, order", `{"z":1.00,"a":1e3,"s":"\u00e9\/","d":[0.10,-0]}`,
			`[{"op":"add","path":"/d/1","value":2.50}]`, `{"z":1.00,"a":1e3,"s":"\u00e9\/","d":[0.10,2.50,-0]}`},
		{"a replaced member stays in its place", `{"a":1,"b":2,"c":3}`, `[{"op":"replace","path":"/b","value":9.0}]`, `{"a":1,"b":9.0,"c":3}`},
		{"add over a member keeps its place", `{"a":1,"b":2}`, `[{"op":"add","path":"/a","value":null}]`, `{"a":null,"b":2}`},
		{"the client's spelling of a name stays", `{"\u0061":1}`, `[{"op":"replace","path":"/a","value":2}]`, `{"\u0061":2}`},
		{"copied digits", `{"a":1.10}`, `[{"op":"copy","from":"/a","path":"/b"}]`, `{"a":1.10,"b":1.10}`},
	} {
		if got, err := applyJSON(t, c.doc, c.patch); err != nil || got != c.want {
			t.Errorf("%s: %s %v, want %s", c.name, got, err, c.want)
		}
	}
}

func TestJSONPatchOperations(t *testing.T) {
	t.Parallel()
	const doc = `{"a":[1,2,3],"o":{"x":{"y":1}},"~":1,"/":2,"":3,"01":4}`
	for _, c := range []struct {
		name, patch, want string
		err               error
	}{
		{"§4.1 add at the end by -", `[{"op":"add","path":"/a/-","value":4}]`, `{"a":[1,2,3,4],`, nil},
		{"§4.1 add at the length", `[{"op":"add","path":"/a/3","value":4}]`, `{"a":[1,2,3,4],`, nil},
		{"§4.1 add beyond", `[{"op":"add","path":"/a/4","value":4}]`, "", ErrTarget},
		{"§4.1 no parent", `[{"op":"add","path":"/n/m","value":4}]`, "", ErrTarget},
		{"§4.1 into a scalar", `[{"op":"add","path":"/a/0/x","value":4}]`, "", ErrTarget},
		{"§4.2 remove", `[{"op":"remove","path":"/a/1"}]`, `{"a":[1,3],`, nil},
		{"§4.2 remove by -", `[{"op":"remove","path":"/a/-"}]`, "", ErrTarget},
		{"§4.2 remove what is not there", `[{"op":"remove","path":"/b"}]`, "", ErrTarget},
		{"§4.2 remove the document", `[{"op":"remove","path":""}]`, "", ErrTarget},
		{"§4.3 replace what is not there", `[{"op":"replace","path":"/b","value":1}]`, "", ErrTarget},
		{"§4.3 replace the document", `[{"op":"replace","path":"","value":{"n":1}}]`, `{"n":1}`, nil},
		{"§4.4 move in a list", `[{"op":"move","from":"/a/0","path":"/a/2"}]`, `{"a":[2,3,1],`, nil},
		{"§4.4 move onto itself", `[{"op":"move","from":"/a","path":"/a"}]`, `{"a":[1,2,3],`, nil},
		{"§4.4 move into its own child", `[{"op":"move","from":"/o","path":"/o/x/z"}]`, "", ErrTarget},
		{"§4.4 move what is not there", `[{"op":"move","from":"/b","path":"/b"}]`, "", ErrTarget},
		{"§4.4 move the document", `[{"op":"move","from":"","path":""}]`, `{"a":[1,2,3],`, nil},
		{"§4.5 copy what is not there", `[{"op":"copy","from":"/b","path":"/c"}]`, "", ErrTarget},
		{"§4.6 numbers by value", `[{"op":"test","path":"/a/0","value":1.0}]`, `{"a":[1,2,3],`, nil},
		{"§4.6 numbers with exponent", `[{"op":"test","path":"/a/0","value":10e-1}]`, `{"a":[1,2,3],`, nil},
		{"§4.6 other number", `[{"op":"test","path":"/a/0","value":1.01}]`, "", ErrTest},
		{"§4.6 other kind", `[{"op":"test","path":"/a/0","value":"1"}]`, "", ErrTest},
		{"§4.6 list in order", `[{"op":"test","path":"/a","value":[1,3,2]}]`, "", ErrTest},
		{"§4.6 object", `[{"op":"test","path":"/o","value":{"x":{"y":1}}}]`, `{"a":[1,2,3],`, nil},
		{"RFC 6901 §4 escapes", `[{"op":"replace","path":"/~0","value":7},{"op":"remove","path":"/~1"},{"op":"remove","path":"/"}]`, `{"a":[1,2,3],"o":{"x":{"y":1}},"~":7,"01":4}`, nil},
		{"RFC 6901 §4 ~01 is ~1", `[{"op":"test","path":"/~01","value":1}]`, "", ErrTarget},
		{"RFC 6901 §4 no leading zeros in a list", `[{"op":"test","path":"/a/01","value":2}]`, "", ErrTarget},
		{"a name that looks like an index", `[{"op":"test","path":"/01","value":4}]`, `{"a":[1,2,3],`, nil},
		{"§5 the order of operations", `[{"op":"add","path":"/n","value":{}},{"op":"add","path":"/n/m","value":1},{"op":"move","from":"/n","path":"/o/n"}]`, `{"a":[1,2,3],"o":{"x":{"y":1},"n":{"m":1}},`, nil},
		{"unknown members are ignored", `[{"op":"test","path":"/a/0","value":1,"x":2}]`, `{"a":[1,2,3],`, nil},
	} {
		got, err := applyJSON(t, doc, c.patch)
		if !errors.Is(err, c.err) || !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %s %v, want %s %v", c.name, got, err, c.want, c.err)
		}
	}
}

func TestMalformedJSONPatchIsRefused(t *testing.T) {
	t.Parallel()
	for _, patch := range []string{`{}`, `"x"`, `[1]`, `[{}]`, `[{"op":"add"}]`, `[{"op":"add","path":1,"value":1}]`, `[{"op":"add","path":"/a"}]`,
		`[{"op":"add","path":"a","value":1}]`, `[{"op":"add","path":"/~2","value":1}]`, `[{"op":"add","path":"/~","value":1}]`,
		`[{"op":"move","path":"/a"}]`, `[{"op":"copy","path":"/a","from":"a"}]`, `[{"op":"Add","path":"/a","value":1}]`, `[{"op":1,"path":"/a","value":1}]`} {
		_, err := ParseJSON([]byte(patch), fhir.DefaultLimits)
		var e *Error
		if !errors.As(err, &e) || !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", patch, err)
		}
	}
	var syntax *fhir.SyntaxError
	if _, err := ParseJSON([]byte(`[{"op":"add","op":"test","path":"/a","value":1}]`), fhir.DefaultLimits); !errors.As(err, &syntax) {
		t.Errorf("a duplicate member: %v", err) // two readers would do different things
	}
}

func TestTenThousandOperationsAreRefused(t *testing.T) {
	t.Parallel()
	patch := "[" + strings.Repeat(`{"op":"test","path":"","value":1},`, 9999) + `{"op":"test","path":"","value":1}]`
	if _, err := ParseJSON([]byte(patch), fhir.DefaultLimits); !errors.Is(err, ErrTooLarge) {
		t.Errorf("%v", err)
	}
}

// A patch of a few kilobytes doubles a value with every operation.
func TestDoublingByCopyIsRefused(t *testing.T) {
	t.Parallel()
	patch := "[" + strings.Repeat(`{"op":"copy","from":"/a","path":"/a/-"},`, 100) + `{"op":"test","path":"","value":1}]`
	if _, err := applyJSON(t, `{"a":["0123456789"]}`, patch); !errors.Is(err, ErrTooLarge) {
		t.Errorf("%v", err)
	}
}

func TestInsertionsIntoALongListAreBounded(t *testing.T) {
	t.Parallel()
	doc := `{"a":[` + strings.Repeat("1,", 400_000) + `1]}`
	patch := "[" + strings.Repeat(`{"op":"add","path":"/a/0","value":1},`, MaxOperations-1) + `{"op":"remove","path":"/a/0"}]`
	if _, err := applyJSON(t, doc, patch); !errors.Is(err, ErrTooLarge) {
		t.Errorf("%v", err)
	}
}

func TestErrorsNameOperationAndPathButNoValue(t *testing.T) {
	t.Parallel()
	_, err := applyJSON(t, `{"name":[{"family":"Secret"}]}`, `[{"op":"test","path":"","value":{"name":[{"family":"Secret"}]}},{"op":"test","path":"/name/0/family","value":"Guess"}]`)
	if err == nil || err.Error() != "operation 1 (/name/0/family): the test failed" {
		t.Errorf("%v", err)
	}
	_, err = applyJSON(t, `{}`, `[{"op":"remove","path":"/Mr Smith/0"}]`)
	if err == nil || strings.Contains(err.Error(), "Smith") {
		t.Errorf("%v", err)
	}
}
