package redact

import (
	"fmt"
	"os"
	"testing"

	"github.com/fieldseal/fieldseal/authz/redact/redacttest"
	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/definition"
)

// merger is what becomes of an update; nil when it is refused.
type merger func(stored, body *fhir.Resource, visible, writable field.ClassSet) *fhir.Resource

func merging(stored, body *fhir.Resource, visible, writable field.ClassSet) *fhir.Resource {
	merged, err := redactor().Merge(stored, body, visible)
	if err != nil || redactor().CheckChange(stored, merged, writable) != nil {
		return nil
	}
	return merged
}

// mergeDiffer sends edited views back, under random masks, and compares what
// becomes of them with the reference, until it is enough.
func mergeDiffer(t testing.TB, put merger, seed uint64, n int, enough func(*redacttest.Differences) bool) (d redacttest.Differences, accepted int) {
	t.Helper()
	g, see := reference().NewGenerator(seed), sealing(t)
	for _, typ := range definition.Default().ResourceTypes() {
		if definition.Default().Type(typ).Abstract || enough(&d) {
			continue
		}
		for i := range n {
			r := parse(t, string(g.Resource(typ, fmt.Sprint("r", i))))
			r.SetMeta("1", fhirTime)
			stored := r.AppendJSON(nil)
			for range 4 {
				mask := g.Mask()
				view := see(r, set(t, mask))
				if view == nil {
					continue
				}
				writable := mask
				if d.Compared%2 == 1 {
					writable = g.Mask()
				}
				body := g.Edit(view, g.Resource(typ, fmt.Sprint("r", i)))
				want := reference().Merge(stored, body, mask)
				if want != nil && !reference().Touched(stored, want).In(writable) {
					want = nil
				}
				got := put(r, parse(t, string(body)), set(t, mask), set(t, writable))
				what := fmt.Sprintf("%s seen %v written %v", typ, set(t, mask), set(t, writable))
				switch d.Compared++; {
				case got == nil && want == nil:
				case want == nil:
					d.Note("taken, but must be refused", what)
				case got == nil:
					d.Note("refused, but must be taken", what)
				default:
					if accepted++; !redacttest.Same(got.AppendJSON(nil), want) {
						d.Note("becomes something else", what)
					}
				}
			}
		}
	}
	return d, accepted
}

// TestEveryMergeEqualsTheReference: of an update under a mask the result is what
// a reading of the rules that shares no code with Merge and CheckChange says, and
// refused is what must be.
func TestEveryMergeEqualsTheReference(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it compares updates one after the other: nothing for the race detector")
	}
	n := 1
	if os.Getenv("FIELDSEAL_LONG") == "1" {
		n = 60
	}
	d, accepted := mergeDiffer(t, merging, 3, n, func(*redacttest.Differences) bool { return false })
	t.Logf("%d updates compared, %d of them taken", d.Compared, accepted)
	for _, line := range d.Lines(40) {
		t.Error(line)
	}
	if d.Compared < 300 || accepted < d.Compared/8 || accepted > d.Compared*7/8 {
		t.Error("the test proves little")
	}
}

// TestTheReferenceNoticesPlantedMerges: so does a comparison of merges.
func TestTheReferenceNoticesPlantedMerges(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it compares updates one after the other: nothing for the race detector")
	}
	for name, put := range map[string]merger{
		"what is hidden is not carried forward": func(_, body *fhir.Resource, _, _ field.ClassSet) *fhir.Resource { return bare(body) },
		"who sees an element may write it": func(stored, body *fhir.Resource, visible, _ field.ClassSet) *fhir.Resource {
			return merging(stored, body, visible, field.AllClasses)
		},
		"one class more may be sent": func(stored, body *fhir.Resource, visible, writable field.ClassSet) *fhir.Resource {
			return merging(stored, body, visible|field.Set(field.Administrative), writable|field.Set(field.Administrative))
		},
		"every update is refused":     func(_, _ *fhir.Resource, _, _ field.ClassSet) *fhir.Resource { return nil },
		"the body counts for nothing": func(stored, _ *fhir.Resource, _, _ field.ClassSet) *fhir.Resource { return stored },
	} {
		if d, _ := mergeDiffer(t, put, 3, 1, (*redacttest.Differences).Any); !d.Any() {
			t.Errorf("not noticed: %s", name)
		}
	}
}
