package terminology

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/fhir"
)

func set(url, body string) string {
	return fmt.Sprintf(`{"resourceType":"ValueSet","url":%q,"compose":{"include":[%s]}}`, url, body)
}

func TestValueSetThatRefersToItselfIsRefused(t *testing.T) {
	t.Parallel()
	for name, source := range map[string]*memory{
		"directly": zoo(t, set("urn:vs", `{"valueSet":["urn:vs"]}`)),
		"in a ring": zoo(t, set("urn:vs", `{"valueSet":["urn:b"]}`), set("urn:b", `{"valueSet":["urn:c"]}`),
			set("urn:c", `{"valueSet":["urn:vs"]}`)),
		"in an exclude": zoo(t, `{"resourceType":"ValueSet","url":"urn:vs","compose":{"include":[{"system":"urn:animals"}],"exclude":[{"valueSet":["urn:vs"]}]}}`),
	} {
		s := newService(t, source)
		if _, err := s.Contains(t.Context(), "urn:vs", "urn:animals", "dog"); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: member: %v", name, err)
		}
		if _, err := s.Enumerate(t.Context(), "urn:vs", 0); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: expansion: %v", name, err)
		}
	}
}

// The same value set twice beside each other is no cycle.
func TestSharedValueSetIsNoCycle(t *testing.T) {
	t.Parallel()
	s := newService(t, zoo(t, set("urn:vs", `{"valueSet":["urn:b","urn:c"]}`),
		set("urn:b", `{"valueSet":["urn:vs:swimmers"]}`), set("urn:c", `{"valueSet":["urn:vs:swimmers"]}`)))
	list, err := s.Enumerate(t.Context(), "urn:vs", 0)
	if err != nil || codes(list) != "fish swimmer whale" {
		t.Errorf("%s, %v", codes(list), err)
	}
}

// Each level refers to the next one several times: without a bound the work
// doubles per level.
func TestFanOutOfValueSetsIsBounded(t *testing.T) {
	t.Parallel()
	m := zoo(t)
	const levels = 14
	for i := range levels {
		next := fmt.Sprintf(`{"valueSet":["urn:level:%d"]}`, i+1)
		m.add(t, set(fmt.Sprintf("urn:level:%d", i), strings.Repeat(next+",", 7)+next))
	}
	m.add(t, set(fmt.Sprintf("urn:level:%d", levels), `{"system":"urn:animals"}`))
	s := newService(t, m)
	start := time.Now()
	if _, err := s.Contains(t.Context(), "urn:level:0", "urn:animals", "unicorn"); !errors.Is(err, ErrTooCostly) {
		t.Errorf("member: %v", err)
	}
	if _, err := s.Enumerate(t.Context(), "urn:level:0", 0); !errors.Is(err, ErrTooCostly) {
		t.Errorf("expansion: %v", err)
	}
	if _, err := s.Contains(t.Context(), "urn:level:0", "", "unicorn"); !errors.Is(err, ErrTooCostly) {
		t.Errorf("member of any system: %v", err)
	}
	if took := time.Since(start); took > time.Minute {
		t.Errorf("took %v", took)
	}
}

func TestChainOfValueSetsIsBounded(t *testing.T) {
	t.Parallel()
	m := zoo(t)
	for i := range 40 {
		m.add(t, set(fmt.Sprintf("urn:level:%d", i), fmt.Sprintf(`{"valueSet":["urn:level:%d"]}`, i+1)))
	}
	m.add(t, set("urn:level:40", `{"system":"urn:animals"}`))
	s := newService(t, m)
	if _, err := s.Contains(t.Context(), "urn:level:0", "urn:animals", "dog"); !errors.Is(err, ErrTooCostly) {
		t.Errorf("41 levels: %v", err)
	}
	if in, err := s.Contains(t.Context(), "urn:level:25", "urn:animals", "dog"); err != nil || !in {
		t.Errorf("16 levels: %v, %v", in, err)
	}
}

func TestExpansionIsBounded(t *testing.T) {
	t.Parallel()
	s := newService(t, zoo(t))
	if _, err := s.Enumerate(t.Context(), "urn:vs:animals", 6); !errors.Is(err, ErrTooMany) {
		t.Errorf("7 codes with limit 6: %v", err)
	}
	if list, err := s.Enumerate(t.Context(), "urn:vs:animals", 7); err != nil || len(list) != 7 {
		t.Errorf("7 codes with limit 7: %v", err)
	}
	small, err := New(Options{Source: zoo(t), Limits: Limits{Concepts: 3}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := small.Enumerate(t.Context(), "urn:vs:animals", 0); !errors.Is(err, ErrTooCostly) {
		t.Errorf("more concepts than may be visited: %v", err)
	}
}

// RE2 has no catastrophic patterns; an oversized one is refused.
func TestHostilePatternIsBounded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 5000)
	system := `{"resourceType":"CodeSystem","url":"urn:animals","content":"complete","concept":[{"code":"` + long + `b"}]}`
	for pattern, want := range map[string]error{
		`(a*)*(a*)*(a*)*(a|aa)+c`:   nil,
		`((a{1000}){1000}){1000}`:   ErrInvalid,
		strings.Repeat("(a?)", 900): ErrTooCostly,
	} {
		s := newService(t, (&memory{}).add(t, system, filtered("code", "regex", pattern)))
		start := time.Now()
		in, err := s.Contains(t.Context(), "urn:vs", "urn:animals", long+"b")
		if in || !errors.Is(err, want) || (err == nil) != (want == nil) {
			t.Errorf("%.20s: %v, %v, want %v", pattern, in, err, want)
		}
		if took := time.Since(start); took > time.Minute {
			t.Errorf("%.20s: took %v", pattern, took)
		}
	}
}

func TestEndOfContextEndsTheCall(t *testing.T) {
	t.Parallel()
	s := newService(t, zoo(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Contains(ctx, "urn:vs:swimmers", "urn:animals", "dog"); !errors.Is(err, context.Canceled) {
		t.Errorf("member: %v", err)
	}
	if _, err := s.Enumerate(ctx, "urn:vs:swimmers", 0); !errors.Is(err, context.Canceled) {
		t.Errorf("expansion: %v", err)
	}
	if _, err := s.Enumerate(ctx, "http://hl7.org/fhir/ValueSet/administrative-gender", 0); !errors.Is(err, context.Canceled) {
		t.Errorf("embedded: %v", err)
	}
}

func TestFailureOfTheSourceIsNoAnswer(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk on fire")
	s := newService(t, &memory{err: broken})
	if in, err := s.Contains(t.Context(), "urn:vs", "urn:animals", "dog"); in || !errors.Is(err, broken) {
		t.Errorf("member: %v, %v", in, err)
	}
	if _, err := s.Lookup(t.Context(), "http://terminology.hl7.org/CodeSystem/v3-ActCode", "AMB"); !errors.Is(err, broken) {
		t.Errorf("a stored version may exist: %v", err)
	}
}

// Errors may reach a client and the log: they must not repeat what was asked.
func TestErrorsDoNotNameCodes(t *testing.T) {
	t.Parallel()
	const secret = "HIV-positive"
	s := newService(t, zoo(t, set("urn:loinc", `{"system":"http://loinc.org"}`), set("urn:part", `{"system":"urn:fragment"}`)))
	_, e1 := s.Lookup(t.Context(), "urn:animals", secret)
	_, e2 := s.Contains(t.Context(), "urn:loinc", "http://loinc.org", secret)
	_, e3 := s.Contains(t.Context(), "urn:part", "urn:fragment", secret)
	_, e4 := s.Subsumes(t.Context(), "urn:animals", secret, "dog")
	_, e5 := s.Descendants(t.Context(), "urn:fragment", secret, 0)
	for i, err := range []error{e1, e2, e3, e4, e5} {
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%d: %v", i, err)
		}
	}
	if _, err := s.Contains(t.Context(), "urn:\n"+strings.Repeat("x", 5000), "", "a"); err == nil || len(err.Error()) > 400 || strings.Contains(err.Error(), "\n") {
		t.Errorf("a long canonical: %v", err)
	}
}

// A user who may write ValueSets must not change what bindings of the
// specification mean.
func TestStoredResourceCannotReplaceTheSpecification(t *testing.T) {
	t.Parallel()
	const gender = "http://hl7.org/fhir/administrative-gender"
	s := newService(t, (&memory{}).add(t,
		`{"resourceType":"CodeSystem","url":"`+gender+`","version":"4.0.1","content":"complete","concept":[{"code":"evil"}]}`,
		set("http://hl7.org/fhir/ValueSet/administrative-gender", `{"system":"`+gender+`"}`)))
	for code, want := range map[string]bool{"evil": false, "male": true} {
		in, err := s.Contains(t.Context(), "http://hl7.org/fhir/ValueSet/administrative-gender", gender, code)
		if err != nil || in != want {
			t.Errorf("%s: %v, %v", code, in, err)
		}
	}
}

// What HL7 publishes apart from the specification may be newer in the store;
// a copy without content hides nothing.
func TestStoredEditionOfSharedTerminology(t *testing.T) {
	t.Parallel()
	const act = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
	newer := (&memory{}).add(t, `{"resourceType":"CodeSystem","url":"`+act+`","version":"9","content":"complete","concept":[{"code":"NEW"}]}`)
	if c, err := newService(t, newer).Lookup(t.Context(), act, "NEW"); err != nil || c.Version != "9" {
		t.Errorf("%+v, %v", c, err)
	}
	for _, content := range []string{"not-present", "supplement"} {
		hollow := (&memory{}).add(t, `{"resourceType":"CodeSystem","url":"`+act+`","version":"9","content":"`+content+`"}`)
		if c, err := newService(t, hollow).Lookup(t.Context(), act, "AMB"); err != nil || c.Version != "2018-08-12" {
			t.Errorf("%s: %+v, %v", content, c, err)
		}
	}
}

// A Source that answers with another type must not be taken at its word.
func TestResourceOfAnotherTypeIsRefused(t *testing.T) {
	t.Parallel()
	r, err := fhir.Parse([]byte(`{"resourceType":"Patient","url":"urn:vs","content":"complete"}`), fhir.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	s := newService(t, liar{r})
	if _, err := s.Contains(t.Context(), "urn:vs", "urn:a", "a"); !errors.Is(err, ErrInvalid) {
		t.Errorf("value set: %v", err)
	}
	if _, err := s.Lookup(t.Context(), "urn:vs", "a"); !errors.Is(err, ErrInvalid) {
		t.Errorf("code system: %v", err)
	}
}

type liar struct{ r *fhir.Resource }

func (l liar) CodeSystem(context.Context, string, string) (*Stored, error) {
	return &Stored{Tag: "1", Load: func(context.Context) (*fhir.Resource, error) { return l.r, nil }}, nil
}
func (l liar) ValueSet(ctx context.Context, u, v string) (*Stored, error) {
	return l.CodeSystem(ctx, u, v)
}
func (l liar) CodeSystemOf(context.Context, string, string) (*Stored, error) { return nil, nil }
