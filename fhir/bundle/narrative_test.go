package bundle

import (
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/fhir"
)

// FuzzNarrative: whatever the markup, only the values of links change, and the
// literal stays one.
func FuzzNarrative(f *testing.F) {
	for _, s := range []string{`<a href="x">`, `<img  src = 'x'/>`, `<!-- <a href="x"> -->`, `<a href=x>`, `<a href="`, `<`, `<a`, "é😀<a href=\"é\">\t\"\\"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		plain := fhir.NewString(s)
		text := plain.Text()
		edits := links(text)
		var want strings.Builder
		done := 0
		for i := range edits {
			e := &edits[i]
			if e.start < done || e.end < e.start || e.end > len(text) {
				t.Fatalf("edit %d of %d: [%d,%d) after %d", i, len(text), e.start, e.end, done)
			}
			e.text = "Patient/1"
			want.WriteString(text[done:e.start] + e.text)
			done = e.end
		}
		want.WriteString(text[done:])
		var escaped []byte // every character as an escape
		for _, r := range text {
			if r < 0x80 {
				escaped = append(escaped, `\u00`...)
				escaped = append(escaped, "0123456789abcdef"[r>>4], "0123456789abcdef"[r&15])
			} else {
				escaped = append(escaped, string(r)...)
			}
		}
		for _, raw := range [][]byte{plain.Raw(), []byte(`"` + string(escaped) + `"`)} {
			n := fhir.NewLiteral(splice(raw, append([]edit(nil), edits...)))
			if got := n.Text(); got != want.String() {
				t.Fatalf("%q became %q, want %q", text, got, want.String())
			}
		}
	})
}
