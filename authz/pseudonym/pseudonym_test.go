package pseudonym

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/fieldseal/fieldseal/crypto/secret"
	"github.com/fieldseal/fieldseal/fhir"
)

const base = "http://fhir.test/fhir"

func project(t testing.TB, fill byte) *Project {
	t.Helper()
	p, err := New(secret.New(bytes.Repeat([]byte{fill}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func idGenerator(most int) *rapid.Generator[string] {
	return rapid.StringOfN(rapid.SampledFrom([]rune(alphabet)), 1, most, -1)
}

func TestPseudonymsMapBackAndStayWhatTheyAre(t *testing.T) {
	t.Parallel()
	p, other := project(t, 1), project(t, 2)
	rapid.Check(t, func(r *rapid.T) {
		id := idGenerator(packed).Draw(r, "id")
		ps := p.Of(id)
		if back, ok := p.ID(ps); !ok || back != id || p.Back(ps) != id {
			r.Fatalf("%q: back %q, %v", id, back, ok)
		}
		if !fhir.ValidID(ps) || len(ps) != length || ps[0] != 'p' || p.Of(id) != ps || p.Of(ps) != ps {
			r.Fatalf("%q is shown as %q", id, ps)
		}
		if _, ok := other.ID(ps); ok || other.Of(id) == ps {
			r.Fatalf("%q: the pseudonym of one project is one of another", id)
		}
		if len(id) > 7 && strings.Contains(ps, id) {
			r.Fatalf("%q shows in %q", id, ps)
		}
	})
}

// What a caller knows of ids is of no use: an id is not a pseudonym, a changed
// pseudonym is none, and long ids do not map back.
func TestRawAndForgedIdsMeanNothing(t *testing.T) {
	t.Parallel()
	p := project(t, 1)
	ps := p.Of("p1")
	for i := range ps {
		forged := []byte(ps)
		forged[i] = alphabet[(strings.IndexByte(alphabet, forged[i])+1)%64]
		if id, ok := p.ID(string(forged)); ok {
			t.Fatalf("a changed pseudonym is %q", id)
		}
	}
	rapid.Check(t, func(r *rapid.T) {
		id := idGenerator(64).Draw(r, "id")
		if got := p.Back(id); got == id || !fhir.ValidID(got) {
			r.Fatalf("the raw id %q means %q", id, got)
		}
		if len(id) > packed {
			if _, ok := p.ID(p.Of(id)); ok {
				r.Fatalf("%q maps back", id)
			}
		}
	})
	if _, err := New(secret.New(make([]byte, 31))); err == nil {
		t.Error("a short secret is taken")
	}
}

// Pseudonyms are what research joins by: they stay.
func TestPseudonymsAreFrozen(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile("testdata/v1.txt")
	if err != nil {
		t.Fatal(err)
	}
	p := project(t, 7)
	var got strings.Builder
	for _, id := range []string{"p1", "843d668f-e2cf-4a8a-bee4-432b8972e185", strings.Repeat("a", 40), strings.Repeat("b", 41), strings.Repeat("c", 64)} {
		got.WriteString(id + " " + p.Of(id) + "\n")
	}
	got.WriteString(p.urn("urn:uuid:843d668f-e2cf-4a8a-bee4-432b8972e185") + "\n")
	if got.String() != string(want) {
		t.Errorf("pseudonyms changed:\n%s", got.String())
	}
}

func rewriter(p *Project) *Rewriter {
	return &Rewriter{Project: p, Base: base, Type: func(s string) bool { return s == "Patient" || s == "Observation" }}
}

func TestEveryIDInAnAnswerIsShownUnderAPseudonym(t *testing.T) {
	t.Parallel()
	p := project(t, 1)
	of := func(s string) string { return p.Of(s) }
	for in, want := range map[string]string{
		`{"id":"raw"}`:                                           `{"id":"` + of("raw") + `"}`,
		`{"id" : "raw" , "x":"raw"}`:                             `{"id" : "` + of("raw") + `" , "x":"raw"}`,
		`{"a":"Patient/raw"}`:                                    `{"a":"Patient/` + of("raw") + `"}`,
		`{"a":"Patient\/raw"}`:                                   `{"a":"Patient/` + of("raw") + `"}`,
		`{"a":"\u0050atient/raw"}`:                               `{"a":"Patient/` + of("raw") + `"}`,
		`{"a":["Patient/raw","Observation/raw2"]}`:               `{"a":["Patient/` + of("raw") + `","Observation/` + of("raw2") + `"]}`,
		`{"a":"` + base + `/Patient/raw/_history/3"}`:            `{"a":"` + base + `/Patient/` + of("raw") + `/_history/3"}`,
		`{"a":"` + base + `/Patient/raw/Observation?_page=abc"}`: `{"a":"` + base + `/Patient/` + of("raw") + `/Observation?_page=abc"}`,
		`{"a":"Patient/raw/Observation/raw2"}`:                   `{"a":"Patient/` + of("raw") + `/Observation/` + of("raw2") + `"}`,
		`{"a":"Patient/raw#part"}`:                               `{"a":"Patient/` + of("raw") + `#` + of("part") + `"}`,
		`{"a":"#raw"}`:                                           `{"a":"#` + of("raw") + `"}`,
		`{"a":"#"}`:                                              `{"a":"#"}`,
		`{"a":"urn:uuid:x"}`:                                     `{"a":"` + p.urn("urn:uuid:x") + `"}`,
		`{"a":"` + base + `/Observation?subject=x"}`:             `{"a":"` + base + `/Observation?subject=x"}`,
		`{"a":"http://far.example/Patient/raw"}`:                 `{"a":"http://far.example/Patient/raw"}`,
		`{"a":"Practice/raw"}`:                                   `{"a":"Practice/raw"}`,
		`{"id":"` + of("raw") + `"}`:                             `{"id":"` + of("raw") + `"}`,
		`{"Patient/raw":1,"b":-1.50,"c":null}`:                   `{"Patient/raw":1,"b":-1.50,"c":null}`,
		`{"a":"say \"Patient/raw\""}`:                            `{"a":"say \"Patient/raw\""}`,
	} {
		if got := string(rewriter(p).Append(nil, []byte(in))); got != want {
			t.Errorf("%s\n became %s\n want   %s", in, got, want)
		}
		for cut := range len(in) { // a chunk may end anywhere
			w := rewriter(p)
			if got := string(w.Append(w.Append(nil, []byte(in[:cut])), []byte(in[cut:]))); got != want {
				t.Errorf("%s cut at %d became %s", in, cut, got)
			}
		}
	}
}

func FuzzRewriter(f *testing.F) {
	for _, s := range []string{`{"id":"a","b":["Patient/x","\""]}`, `{"id":"a\\"}`, `["#a","urn:uuid:x"]`, `"`, `{"a":"\ud800"}`} {
		f.Add(s, 3)
	}
	p := project(f, 1)
	f.Fuzz(func(t *testing.T, in string, cut int) {
		if !json.Valid([]byte(in)) {
			return
		}
		whole := rewriter(p).Append(nil, []byte(in))
		if in[len(in)-1] == '}' && !json.Valid(whole) {
			t.Errorf("%q became %q", in, whole)
		}
		if cut < 0 || cut > len(in) {
			return
		}
		w := rewriter(p)
		if parts := w.Append(w.Append(nil, []byte(in[:cut])), []byte(in[cut:])); !bytes.Equal(parts, whole) {
			t.Errorf("%q cut at %d became %q, whole %q", in, cut, parts, whole)
		}
	})
}
