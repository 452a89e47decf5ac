package interaction

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/fieldseal/fieldseal/authz/redact/redacttest"
)

// testPlanted: the judge notices what is wrong with an answer, so that finding
// nothing means something. Each face has one defect.
func testPlanted(t *testing.T, p *shop, stored []*kept) {
	t.Helper()
	in := p.inspection("researcher", "", stored)
	sound, all := p.face(p.as("researcher")), p.face(p.as("integration"))
	questions := []string{"Encounter?_sort=-date&_total=accurate&_count=40", "Observation?_count=1000&_total=accurate", "Encounter?_include=Encounter:subject&_count=1000"}
	inspect := func(f face) {
		in.reads(f, 0, 8)
		in.histories(f)
		for _, q := range questions {
			in.ask(f, q)
		}
	}
	inspect(sound)
	for _, line := range in.Lines(30) {
		t.Errorf("nothing is planted, and still: %s", line)
	}
	// searching is a face whose searches are changed after the fact.
	searching := func(change func(*walked)) face {
		f := sound
		f.search = func(target string) (walked, error) {
			w, err := sound.search(target)
			if err == nil {
				change(&w)
			}
			return w, err
		}
		return f
	}
	if in.tally.refused > 0 {
		t.Error("the researcher may not ask what the test asks")
	}
	hidden := slices.IndexFunc(stored, func(k *kept) bool { return in.visible[in.ref(k)] == nil })
	if hidden < 0 {
		t.Fatal("the researcher sees everything")
	}
	for name, f := range map[string]face{
		"a search withholds one visible resource": searching(func(w *walked) {
			if len(w.matches) > 100 {
				w.matches = slices.Delete(w.matches, 50, 51)
				w.total--
			}
		}),
		"a search shows one that is invisible": searching(func(w *walked) { w.matches = append(w.matches, stored[hidden].ref()) }),
		"a search shows one twice":             searching(func(w *walked) { w.matches = append(w.matches, w.matches[0]) }),
		"a search counts one more":             searching(func(w *walked) { w.total++ }),
		"a search is not in order":             searching(func(w *walked) { slices.Reverse(w.matches) }),
		"a search does not include":            searching(func(w *walked) { w.included = nil }),
		"a search includes more":               searching(func(w *walked) { w.included = append(w.included, "Claim/none") }),
		"a search shows what a read would not": {read: sound.read, history: sound.history, search: all.search},
		"a read hides nothing":                 {read: all.read, history: sound.history, search: sound.search},
		"a read withholds one type": {history: sound.history, search: sound.search, read: func(typ, id string) ([]byte, error) {
			if typ == "Observation" {
				return nil, fail(NotFound, nil, "planted")
			}
			return sound.read(typ, id)
		}},
		"a history hides nothing": {read: sound.read, history: all.history, search: sound.search},
		"a history lacks the oldest version": {read: sound.read, search: sound.search, history: func(typ, id string) ([]json.RawMessage, error) {
			h, err := sound.history(typ, id)
			return h[:max(len(h)-1, 0)], err
		}},
	} {
		in.Differences = &redacttest.Differences{}
		if inspect(f); !in.Any() {
			t.Errorf("not noticed: %s", name)
		}
	}
}
