package blind_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/fieldseal/fieldseal/crypto/blind"
	"github.com/fieldseal/fieldseal/crypto/secret"
)

var (
	key    = secret.New([]byte("0123456789abcdefghijklmnopqrstuv"))
	tenant = [16]byte{0xf1, 0xe1, 0xd5, 0xea, 0x1f}
)

type term struct {
	typ, parameter string
	kind           blind.Kind
	parts          []string
}

// terms has one example per kind.
var terms = []term{
	{"Patient", "identifier", blind.TokenSystemCode, []string{"http://h.example/mrn", "123"}},
	{"Patient", "identifier", blind.TokenCode, []string{"123"}},
	{"Patient", "identifier", blind.TokenSystem, []string{"http://h.example/mrn"}},
	{"Patient", "identifier", blind.TokenNoSystem, []string{"123"}},
	{"Patient", "identifier", blind.TokenOfType, []string{"http://terminology.hl7.org/CodeSystem/v2-0203", "MR", "123"}},
	{"Patient", "family", blind.StringPrefix, []string{"mül"}},
	{"Patient", "family", blind.StringWhole, []string{"mül"}},
	{"Patient", "family", blind.StringExact, []string{"mül"}},
	{"Observation", "subject", blind.ReferenceKey, []string{"Patient", "0123456789abcdef"}},
	{"Observation", "subject", blind.ReferenceURL, []string{"http://h.example/Patient/1"}},
	{"Observation", "subject", blind.ReferenceIdentifier, []string{"http://h.example/mrn", "123"}},
	{"ValueSet", "url", blind.URIExact, []string{"http://h.example/vs/a"}},
	{"ValueSet", "url", blind.URIPrefix, []string{"http://h.example/vs"}},
	{"Patient", "birthdate", blind.DateLow, []string{"m1980-01"}},
	{"Patient", "birthdate", blind.DateHigh, []string{"m1980-01"}},
	{"RiskAssessment", "probability", blind.NumberBucket, []string{"17"}},
	{"Observation", "value-quantity", blind.QuantityBucket, []string{"g.m-3", "17"}},
	{"Observation", "code-value-concept", blind.Composite, []string{"http://loinc.org|1-8", "\x01", "a", "b"}},
	{"Patient", "gender", blind.Missing, nil},
	{"Patient", "identifier", blind.Guard, []string{"http://h.example/mrn", "123"}},
}

// written computes a token from the definition, sharing no code with blind.
func written(x term) int64 {
	lp := func(dst []byte, s string) []byte {
		return append(binary.BigEndian.AppendUint32(dst, uint32(len(s))), s...)
	}
	in := lp(lp(lp(nil, string(tenant[:])), x.typ), x.parameter)
	in = lp(append(in, byte(x.kind)), "\x00\x00\x00\x01")
	for _, p := range x.parts {
		in = lp(in, p)
	}
	inner, outer := bytes.Repeat([]byte{0x36}, 64), bytes.Repeat([]byte{0x5c}, 64)
	for i, b := range key.Expose() {
		inner[i] ^= b
		outer[i] ^= b
	}
	h := sha256.Sum256(append(inner, in...))
	o := sha256.Sum256(append(outer, h[:]...))
	return int64(binary.BigEndian.Uint64(o[:8]))
}

func TestVectors(t *testing.T) {
	t.Parallel()
	tk := blind.New(key, tenant)
	var out strings.Builder
	seen := make(map[int64]blind.Kind)
	for _, x := range terms {
		got := tk.Token(x.typ, x.parameter, x.kind, x.parts...)
		if got != written(x) {
			t.Errorf("kind %d: %d, written out %d", x.kind, got, written(x))
		}
		if other, ok := seen[got]; ok {
			t.Errorf("kinds %d and %d share a token", x.kind, other)
		}
		seen[got] = x.kind
		var raw [][]byte
		for _, p := range x.parts {
			raw = append(raw, []byte(p))
		}
		if tk.TokenBytes(x.typ, x.parameter, x.kind, raw...) != got {
			t.Errorf("kind %d: bytes and strings differ", x.kind)
		}
		fmt.Fprintf(&out, "%d %s %s %q %d\n", x.kind, x.typ, x.parameter, x.parts, got)
	}
	const path = "testdata/format/v1/tokens.txt"
	if os.Getenv("UPDATE_FROZEN") != "" {
		if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || out.String() != string(want) {
		t.Errorf("tokens changed: stored indexes would find nothing (%v)", err)
	}
}

// TestShiftedBoundariesDiffer moves bytes over every boundary of the input.
func TestShiftedBoundariesDiffer(t *testing.T) {
	t.Parallel()
	tk := blind.New(key, tenant)
	pairs := [][2]term{
		{{"acme", "Patient", 1, []string{"v"}}, {"acmeP", "atient", 1, []string{"v"}}},
		{{"Patient", "name", 1, []string{"ab", "c"}}, {"Patient", "name", 1, []string{"a", "bc"}}},
		{{"Patient", "name", 1, []string{"ab"}}, {"Patient", "name", 1, []string{"a", "b"}}},
		{{"Patient", "name", 1, []string{"a", ""}}, {"Patient", "name", 1, []string{"a"}}},
		{{"Patient", "name", 1, []string{""}}, {"Patient", "name", 1, nil}},
		{{"Patient", "name", 1, []string{"a"}}, {"Patient", "name", 2, []string{"a"}}},
		{{"Patient", "name\x01", 1, nil}, {"Patient", "name", 1, []string{"\x01"}}},
	}
	for _, p := range pairs {
		a := tk.Token(p[0].typ, p[0].parameter, p[0].kind, p[0].parts...)
		b := tk.Token(p[1].typ, p[1].parameter, p[1].kind, p[1].parts...)
		if a == b {
			t.Errorf("%v and %v share a token", p[0], p[1])
		}
	}
	other := tenant
	other[15] ^= 1
	base := tk.Token("Patient", "name", 1, "v")
	if blind.New(key, other).Token("Patient", "name", 1, "v") == base || blind.New(secret.Random(32), tenant).Token("Patient", "name", 1, "v") == base {
		t.Error("another tenant or key makes the same token")
	}
}

func TestConcurrentTokensAreEqual(t *testing.T) {
	t.Parallel()
	tk := blind.New(key, tenant)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 2000 {
				x := terms[i%len(terms)]
				if i%97 == 0 { // a long value must not disturb its successors
					_ = tk.Token("Patient", "x", 1, strings.Repeat("y", 10_000))
				}
				if tk.Token(x.typ, x.parameter, x.kind, x.parts...) != written(x) {
					t.Error("a concurrent call disturbed a token")
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestShortKeyPanics(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("a key of 13 bytes was taken")
		}
	}()
	blind.New(secret.Random(13), tenant)
}

func TestTruncatedTokensCollide(t *testing.T) {
	t.Parallel()
	tk := blind.NewInsecureTruncated(t, key, tenant, 8)
	seen := make(map[int64]bool)
	for i := range 5000 {
		n := tk.Token("Patient", "name", blind.StringWhole, fmt.Sprint(i))
		if n < 0 || n > 255 {
			t.Fatal("token has more than 8 bits")
		}
		seen[n] = true
	}
	if len(seen) != 256 {
		t.Errorf("%d of 256 values used", len(seen))
	}
}

func TestFIPSOnly(t *testing.T) {
	t.Parallel()
	if os.Getenv("BLIND_FIPS_CHILD") != "" {
		t.Skip("already inside")
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestVectors$", "-test.v")
	cmd.Env = append(os.Environ(), "GODEBUG=fips140=only", "BLIND_FIPS_CHILD=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestVectors") {
		t.Fatalf("%v\n%s", err, out)
	}
}

func TestTokenDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("pools are lossy under the race detector")
	}
	tk := blind.New(key, tenant)
	f := func() { _ = tk.Token("Patient", "identifier", blind.TokenSystemCode, "http://h.example/mrn", "123") }
	f()
	if n := testing.AllocsPerRun(200, f); n > 0.5 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkToken(b *testing.B) {
	tk := blind.New(key, tenant)
	b.ReportAllocs()
	for b.Loop() {
		_ = tk.Token("Patient", "family", blind.StringWhole, "mueller")
	}
}
