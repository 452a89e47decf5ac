package smart

import (
	"errors"
	"strings"
	"testing"
)

// SMART App Launch 2.2, scopes-and-launch-context.html.
func TestParse(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ name, text, want string }{
		{"all of the patient", "patient/*.cruds", "patient/*.cruds"},
		{"one letter", "user/Observation.r", "user/Observation.r"},
		{"letters with gaps", "system/Patient.rus", "system/Patient.rus"},
		{"version 1 read", "patient/Observation.read", "patient/Observation.rs"},
		{"version 1 write", "user/Observation.write", "user/Observation.cud"},
		{"version 1 both", "system/*.*", "system/*.cruds"},
		{"granular", "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory",
			"patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory"},
		{"granular with two parameters", "user/Condition.rs?category=a&code=b", "user/Condition.rs?category=a&code=b"},
		{"granular for every type", "user/*.r?_security=N", "user/*.r?_security=N"},
	} {
		s, err := Parse(row.text)
		if err != nil || s.String() != row.want {
			t.Errorf("%s: %q, %v", row.name, s, err)
		}
	}
}

func TestScopesThatAreNotUnderstoodAreNone(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"empty": "", "unordered": "user/Patient.dus", "twice": "user/Patient.rr", "no letters": "user/Patient.", "unknown letter": "user/Patient.rx",
		"level in capitals": "USER/Patient.r", "unknown level": "practitioner/Patient.r", "no level": "/Patient.r", "no type": "user/.r",
		"pattern": "user/Pat*.r", "type in small letters": "user/patient.r", "space": "user/Patient.r ", "two scopes": "user/*.r patient/*.r",
		"empty query": "user/Observation.rs?", "query without value": "user/Observation.rs?category", "query with empty value": "user/Observation.rs?category=",
		"query without name": "user/Observation.rs?=x", "query on version 1": "user/Observation.read?category=x", "trailing pair": "user/Observation.rs?a=b&",
		"broken escape": "user/Observation.rs?a=%zz", "quote": `user/Observation.rs?a="`, "control": "user/Observation.rs?a=\n", "long": "user/Observation.rs?a=" + strings.Repeat("x", maxQuery),
		"launch": "launch/patient", "openid": "openid",
	} {
		if s, err := Parse(text); !errors.Is(err, ErrScope) || s != (Scope{}) {
			t.Errorf("%s: %q is read as %q", name, text, s)
		}
	}
	if (Scope{}).Permits('r', "Patient") || (Scope{Letters: letters, Type: Every}).Permits(0, "Patient") {
		t.Error("nothing permits something")
	}
}

func TestCoveredNeverWidens(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		have, asked string
		want        bool
	}{
		{"user/*.rs", "user/Patient.r", true}, {"user/*.read", "user/Patient.rs", true}, {"user/*.rs", "user/Observation.rs?category=laboratory", true},
		{"user/Observation.rs?category=a", "user/Observation.r?category=a", true}, {"launch launch/patient", "launch/patient", true},
		{"user/Observation.rs?category=a", "user/Observation.rs", false}, {"user/Observation.rs?category=a", "user/Observation.rs?category=b", false},
		{"user/Patient.rs", "user/*.r", false}, {"patient/*.cruds", "user/*.r", false}, {"system/*.cruds", "patient/*.r", false},
		{"user/*.rs", "user/Patient.u", false}, {"launch", "launch/patient", false}, {"user/*.cruds", "offline_access", false}, {"user/*.dus", "user/*.s", false},
		{"fieldseal/admin", "fieldseal/admin", true}, {"user/*.cruds system/*.cruds openid", "fieldseal/admin", false}, {"fieldseal/admin", "user/*.r", false}, {"", "openid", false},
	} {
		if got := Covered(strings.Fields(row.have), row.asked); got != row.want {
			t.Errorf("%q covers %q: %v", row.have, row.asked, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"patient/*.cruds", "user/Observation.rs?category=a|b&code=c", "system/Patient.write", "user/Patient.dus", "launch"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(s.String())
		if err != nil || again != s || !s.Covers(again) || !Covered([]string{text}, text) {
			t.Errorf("%q is read as %q and that as %q, %v", text, s, again, err)
		}
		if strings.ContainsAny(s.String(), " \t\r\n\"\\") || s.Letters == "" {
			t.Errorf("%q is read as %q", text, s)
		}
	})
}

// SMART App Launch 2.2, scopes for requesting context data.
func TestLaunchTypeNamesATypeAndARole(t *testing.T) {
	t.Parallel()
	for scope, want := range map[string][2]string{
		"launch/imagingstudy":                     {"imagingstudy", ""},
		"launch/list?role=https://e.example/home": {"list", "https://e.example/home"},
		"launch/patient?role=https://e.example/x": {"patient", "https://e.example/x"},
	} {
		if typ, role, ok := LaunchType(scope); !ok || typ != want[0] || role != want[1] || !Contextual(scope) {
			t.Errorf("%s: %q %q %v", scope, typ, role, ok)
		}
	}
	for _, scope := range []string{"", "launch", "launch/", "launch/patient", "launch/encounter", "launch/ImagingStudy", "launch/list?role=", "launch/list?x=1",
		"launch/list?role=a b", `launch/list?role="`, "launch/list?role=a&role=b", "launch/list/x", "launches/list", "launch/" + strings.Repeat("x", maxQuery)} {
		if _, _, ok := LaunchType(scope); ok {
			t.Errorf("%q is one", scope)
		}
	}
}
