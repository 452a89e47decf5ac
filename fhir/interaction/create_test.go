package interaction

import (
	"net/http"
	"strings"
	"sync"
	"testing"
)

// unnamed is a body without an id.
const unnamed = `{"resourceType":"Patient","identifier":[{"system":"urn:mrn","value":"m4711"}]}`

func (p *shop) createIf(role, criteria, body string) (*Answer, error) {
	c := p.as(role)
	c.IfNoneExist = criteria
	return p.Create(p.t.Context(), c, "Patient", []byte(body))
}

// TestConditionalCreate: none creates, one answers it, several are refused (R4
// http.html#ccreate).
func TestConditionalCreate(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	first := must(p, func() (*Answer, error) { return p.createIf("integration", "identifier=urn:mrn|m4711", unnamed) })
	again := must(p, func() (*Answer, error) { return p.createIf("integration", "identifier=urn:mrn|m4711", unnamed) })
	if first.Status() != http.StatusCreated || again.Status() != http.StatusOK || again.Location() != first.Location() || p.stored() != 1 {
		t.Errorf("%d %s, then %d %s; %d versions", first.Status(), first.Location(), again.Status(), again.Location(), p.stored())
	}
	must(p, func() (*Answer, error) { return p.createIf("integration", "", unnamed) })
	a, err := p.createIf("integration", "identifier=urn:mrn|m4711", unnamed)
	p.refused(a, err, Precondition)
	_, err = p.Delete(t.Context(), p.as("integration"), "Patient", strings.Split(first.Location(), "/")[1])
	p.must(err)
	again = must(p, func() (*Answer, error) { return p.createIf("integration", "identifier=urn:mrn|m4711", unnamed) })
	if again.Status() != http.StatusOK || again.Location() == first.Location() {
		t.Error("a deleted resource counts as a match")
	}
}

// TestConditionalCreateIsNoOracle: the condition needs its classes (abuse 53).
func TestConditionalCreateIsNoOracle(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.put("Patient", "p1", patient)
	for _, value := range []string{"m4711", "none"} {
		a, err := p.createIf("clerk", "identifier=urn:mrn|"+value, `{"resourceType":"Patient"}`)
		p.refused(a, err, Denied)
	}
	for criteria, want := range map[string]Kind{"nothing=1": Malformed, "%zz": Malformed} {
		a, err := p.createIf("integration", criteria, unnamed)
		p.refused(a, err, want)
	}
	if p.stored() != 1 {
		t.Errorf("%d versions", p.stored())
	}
}

// TestRacingConditionalCreates: of many with one condition one creates, whether
// the condition is guarded by its identifier or by the type (decision 29).
func TestRacingConditionalCreates(t *testing.T) {
	t.Parallel()
	for name, criteria := range map[string]string{"identifier": "identifier=urn:mrn|m4711", "another criterion": "family=Muster"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newShop(t)
			body := strings.Replace(patient, `"id":"p1",`, "", 1)
			locations := make([]string, 8)
			var wg sync.WaitGroup
			for i := range locations {
				wg.Go(func() {
					a, err := p.createIf("integration", criteria, body)
					if err != nil {
						t.Error(err)
						return
					}
					locations[i] = a.Location()
				})
			}
			wg.Wait()
			for _, l := range locations {
				if l == "" || l != locations[0] {
					t.Fatalf("locations %q", locations)
				}
			}
			if p.stored() != 1 {
				t.Errorf("%d versions", p.stored())
			}
		})
	}
}
