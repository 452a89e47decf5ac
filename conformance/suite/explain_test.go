package suite

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestExplainPrintsPlanAndCountsButNoValue runs the command on searches by a
// value that stands nowhere else.
func TestExplainPrintsPlanAndCountsButNoValue(t *testing.T) {
	t.Parallel()
	s := shared(t)
	name, ids := s.family(t, 3)
	obs := s.create(t, observation("Patient/"+ids[0]))
	for query, want := range map[string]struct {
		parts, matches int
		clause         string
	}{
		"Patient?family=" + name + "&birthdate=ge1910":    {1, 3, "family"},
		"Observation?subject:Patient.family=" + name:      {2, 1, "subject:Patient.family"},
		"Patient?_has:Observation:patient:_id=" + obs:     {2, 1, "_has:Observation:patient:_id"},
		"Patient/" + ids[0] + "/Observation?status=final": {1, 1, "status"},
		"Patient?family:contains=" + name:                 {1, 3, "family:contains"},
	} {
		code, text, stderr := command(t, "search", "explain", "--data", s.dir, query)
		if code != 0 {
			t.Errorf("%s: %s", query, stderr)
			continue
		}
		code, printed, stderr := command(t, "search", "explain", "--data", s.dir, "--json", query)
		var x struct {
			Parts []struct {
				Clauses             []struct{ Parameter string }
				Candidates, Matches int
			}
		}
		if code != 0 || json.Unmarshal([]byte(printed), &x) != nil || len(x.Parts) != want.parts {
			t.Errorf("%s: %s %s", query, printed, stderr)
			continue
		}
		last := x.Parts[len(x.Parts)-1]
		if last.Matches != want.matches || last.Candidates < want.matches {
			t.Errorf("%s: %d candidates, %d matches, want %d", query, last.Candidates, last.Matches, want.matches)
		}
		if !strings.Contains(text, want.clause) || !strings.Contains(text, "resources rechecked") || !strings.Contains(printed, want.clause) {
			t.Errorf("%s: no clause %s in %s", query, want.clause, text)
		}
		for _, secret := range append([]string{name, name[2:], strings.ToLower(name), obs}, ids...) {
			if strings.Contains(text+printed+stderr, secret) {
				t.Errorf("the explanation of %s holds %s", query, secret)
			}
		}
	}
	if code, _, stderr := command(t, "search", "explain", "--data", s.dir, "--role", "researcher", "Patient?family="+name); code != 1 || strings.Contains(stderr, name) {
		t.Errorf("as researcher: exit code %d, %s", code, stderr)
	}
}
