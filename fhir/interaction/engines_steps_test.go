package interaction

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// clientIDs is how many resources have ids that the client chose.
const clientIDs = 24

// metamorph draws steps.
type metamorph struct {
	t     *testing.T
	rand  *rand.Rand
	sides []*side
	seen  map[string]int
}

func (m *metamorph) n(below int) int { return m.rand.IntN(below) }

func pick[T any](m *metamorph, from ...T) T { return from[m.n(len(from))] }

// resource is the number of some resource, more often one that the server made.
func (m *metamorph) resource() int {
	if made := len(m.sides[0].made); made > 0 && m.n(3) > 0 {
		return clientIDs + m.n(made)
	}
	return m.n(clientIDs)
}

// patientText is a Patient; every one has one of a few identifiers.
func (m *metamorph) patientText() func(id string) string {
	text := fmt.Sprintf(`"identifier":[{"system":"urn:mrn","value":"%d"}],"name":[{"family":%q,"given":["G%d"]}],"gender":%q,"birthDate":"%d-0%d-1%d"`,
		m.n(12), pick(m, "Muster", "Müller", "Meier", "O'Brien"), m.n(5), pick(m, "male", "female"), 1950+m.n(60), 1+m.n(9), m.n(9))
	return func(id string) string {
		if id != "" {
			id = fmt.Sprintf(`"id":%q,`, id)
		}
		return `{"resourceType":"Patient",` + id + text + `}`
	}
}

func (m *metamorph) observationText() func(id, subject string) string {
	text := fmt.Sprintf(`"status":%q,"code":{"coding":[{"system":"urn:c","code":"k%d"}]},"effectiveDateTime":"20%02d-0%d","valueQuantity":{"value":%d.50,"unit":"kg"}`,
		pick(m, "final", "amended"), m.n(4), m.n(24), 1+m.n(9), m.n(90))
	return func(id, subject string) string {
		if id != "" {
			id = fmt.Sprintf(`"id":%q,`, id)
		}
		return `{"resourceType":"Observation",` + id + text + fmt.Sprintf(`,"subject":{"reference":%q}}`, subject)
	}
}

// operation draws the next step.
func (m *metamorph) operation() operation {
	kinds := []func() operation{m.create, m.create, m.createUnless, m.put, m.put, m.put, m.putWhere, m.patch, m.remove,
		m.removeWhere, m.transaction, m.transaction, m.batch, m.search, m.search, m.search, m.search, m.history, m.history,
		m.versions, m.read, m.read, m.everything, m.meta}
	if m.n(40) == 0 {
		kinds = []func() operation{m.rebuild, m.rebuild, m.erase}
	}
	return pick(m, kinds...)()
}

func (m *metamorph) create() operation {
	if m.n(2) == 0 {
		text := m.patientText()
		return operation{"create Patient", func(s *side) string {
			return s.told(s.Create(s.t.Context(), s.as("integration"), "Patient", []byte(text(""))))
		}}
	}
	text, of := m.observationText(), m.resource()
	return operation{"create Observation", func(s *side) string {
		return s.told(s.Create(s.t.Context(), s.as("integration"), "Observation", []byte(text("", "Patient/"+s.id(of)))))
	}}
}

func (m *metamorph) createUnless() operation {
	text, query := m.patientText(), fmt.Sprintf("identifier=urn:mrn|%d", m.n(20))
	return operation{"create-if-none " + query, func(s *side) string {
		c := s.as("integration")
		c.IfNoneExist = query
		return s.told(s.Create(s.t.Context(), c, "Patient", []byte(text(""))))
	}}
}

func (m *metamorph) put() operation {
	n, of, tag := m.n(clientIDs), m.resource(), ""
	if m.n(3) == 0 {
		tag = fmt.Sprintf(`W/"%d"`, 1+m.n(4))
	}
	patient, observation := m.patientText(), m.observationText()
	return operation{fmt.Sprint("update ", n, tag), func(s *side) string {
		c, text := s.as("integration"), patient(s.id(n))
		if c.IfMatch = tag; s.typ(n) == "Observation" {
			text = observation(s.id(n), "Patient/"+s.id(of))
		}
		return s.told(s.Update(s.t.Context(), c, s.typ(n), s.id(n), []byte(text)))
	}}
}

func (m *metamorph) putWhere() operation {
	text, query := m.patientText(), fmt.Sprintf("identifier=urn:mrn|%d", m.n(16))
	return operation{"update-where " + query, func(s *side) string {
		return s.told(s.UpdateWhere(s.t.Context(), s.as("integration"), "Patient", query, []byte(text(""))))
	}}
}

func (m *metamorph) patch() operation {
	patch := fmt.Sprintf(`[{"op":"test","path":"/gender","value":"male"},{"op":"replace","path":"/birthDate","value":"19%02d"}]`, 10+m.n(80))
	n, query := m.resource(), fmt.Sprintf("identifier=urn:mrn|%d", m.n(16))
	if m.n(2) == 0 {
		return operation{"patch-where " + query, func(s *side) string {
			return s.told(s.PatchWhere(s.t.Context(), s.as("integration"), "Patient", query, JSONPatchMedia, []byte(patch)))
		}}
	}
	return operation{fmt.Sprint("patch ", n), func(s *side) string {
		return s.told(s.Patch(s.t.Context(), s.as("integration"), s.typ(n), s.id(n), JSONPatchMedia, []byte(patch)))
	}}
}

func (m *metamorph) remove() operation {
	n := m.resource()
	return operation{fmt.Sprint("delete ", n), func(s *side) string {
		return s.told(s.Delete(s.t.Context(), s.as("integration"), s.typ(n), s.id(n)))
	}}
}

func (m *metamorph) removeWhere() operation {
	query := fmt.Sprintf("identifier=urn:mrn|%d", m.n(30))
	return operation{"delete-where " + query, func(s *side) string {
		return s.told(s.DeleteWhere(s.t.Context(), s.as("integration"), "Patient", query))
	}}
}

// transaction mixes what may fail: a version that is not current, an identity
// that is there already or more than once.
func (m *metamorph) transaction() operation { return m.bundle("transaction") }

func (m *metamorph) batch() operation { return m.bundle("batch") }

func (m *metamorph) bundle(kind string) operation {
	var entries []func(s *side) string
	for i := range 1 + m.n(5) {
		patient, observation, n := m.patientText(), m.observationText(), (m.n(4)*6+i)%clientIDs
		var condition string
		if m.n(5) == 0 {
			condition = fmt.Sprintf(`,"ifMatch":"W/\"%d\""`, 1+m.n(4))
		}
		mrn := m.n(24)
		if kind == "batch" { // its entries have no order: none may depend on another
			mrn += 24
		}
		switch m.n(5) {
		case 0:
			entries = append(entries, func(s *side) string {
				return fmt.Sprintf(`{"fullUrl":"urn:uuid:00000000-0000-4000-8000-00000000000%d","resource":%s,"request":{"method":"POST","url":"Patient"}}`, i, patient("")) +
					fmt.Sprintf(`,{"resource":%s,"request":{"method":"POST","url":"Observation"}}`, observation("", fmt.Sprintf("urn:uuid:00000000-0000-4000-8000-00000000000%d", i)))
			})
		case 1:
			entries = append(entries, func(s *side) string {
				return fmt.Sprintf(`{"resource":%s,"request":{"method":"POST","url":"Patient","ifNoneExist":"identifier=urn:mrn|%d"}}`, patient(""), mrn)
			})
		case 2:
			entries = append(entries, func(s *side) string {
				return fmt.Sprintf(`{"request":{"method":"DELETE","url":"%s/%s"}}`, s.typ(n), s.id(n))
			})
		default:
			entries = append(entries, func(s *side) string {
				text := patient(s.id(n))
				if s.typ(n) == "Observation" {
					text = observation(s.id(n), fmt.Sprintf("Patient?identifier=urn:mrn|%d", mrn))
				}
				return fmt.Sprintf(`{"resource":%s,"request":{"method":"PUT","url":"%s/%s"%s}}`, text, s.typ(n), s.id(n), condition)
			})
		}
	}
	return operation{fmt.Sprint(kind, " of ", len(entries)), func(s *side) string {
		var all []string
		for _, e := range entries {
			all = append(all, e(s))
		}
		return s.told(s.Bundle(s.t.Context(), s.as("integration"), []byte(`{"resourceType":"Bundle","type":"`+kind+`","entry":[`+strings.Join(all, ",")+`]}`)))
	}}
}

// ago is an instant up to two minutes, or steps, back.
func (m *metamorph) ago() string {
	return m.sides[0].options.now().UTC().Add(-time.Duration(m.n(120)) * time.Second).Format(time.RFC3339)
}

func (m *metamorph) search() operation {
	n := m.resource()
	typ, query := "Patient", pick(m, "", fmt.Sprintf("identifier=urn:mrn|%d", m.n(14)), "family=m", "family:exact=Muster", "birthdate=ge1980&birthdate=lt2000",
		"gender=female&family=meier", "gender:not=male", "_has:Observation:subject:code=urn:c|k1", "name:contains=ü", "_lastUpdated=ge"+m.ago(), "_lastUpdated=lt"+m.ago()+"&gender=male", "_summary=count", "family:missing=true")
	if m.n(2) == 0 {
		typ, query = "Observation", pick(m, "", "code=urn:c|k1", "code=urn:c|k1,urn:c|k2", "status=final&code=k3", "date=ge2010", "value-quantity=gt40", "_lastUpdated=ge"+m.ago()+"&_lastUpdated=lt"+m.ago(), "value-quantity=gt20&code=k2",
			"subject:Patient.family=Muster", "subject:Patient.identifier=urn:mrn|3", "_include=Observation:subject", "patient=PATIENT", "subject=Patient/PATIENT&date=lt2012",
			"_summary=count&code=k1", "_tag=t1")
	}
	query += "&" + pick(m, "", "_count=3", "_count=7&_total=accurate", "_elements=identifier")
	how := asSet
	if m.n(3) == 0 && !strings.Contains(query, "_include") {
		how, query = bySecond, query+"&_sort="+pick(m, "-_lastUpdated", "_lastUpdated")
	}
	role := pick(m, "integration", "clinician", "nurse", "ward", "patient")
	return operation{"search " + role + " " + typ + "?" + query, func(s *side) string {
		return s.pages(how, strings.ReplaceAll(query, "PATIENT", s.id(n)), func(ctx context.Context, q string) (*Answer, error) {
			return s.Search(ctx, s.as(role), typ, q)
		})
	}}
}

func (m *metamorph) history() operation {
	n, query := m.resource(), pick(m, "", "_count=3", "_count=50", "_sort=_lastUpdated&_count=20")
	if m.n(2) == 0 {
		query += "&_since=" + m.ago()
	}
	kind := m.n(3)
	how := bySecond
	if kind == 0 {
		how = exact
	}
	return operation{fmt.Sprint("history ", kind, " ", n, " ", query), func(s *side) string {
		return s.pages(how, query, func(ctx context.Context, q string) (*Answer, error) {
			switch c := s.as("integration"); kind {
			case 0:
				return s.History(ctx, c, s.typ(n), s.id(n), q)
			case 1:
				return s.HistoryType(ctx, c, "Patient", q)
			default:
				return s.HistorySystem(ctx, c, q)
			}
		})
	}}
}

func (m *metamorph) versions() operation {
	n, version, role := m.n(clientIDs), fmt.Sprint(1+m.n(3)), pick(m, "integration", "clinician", "nurse", "ward")
	return operation{fmt.Sprint("vread ", n, " version ", version), func(s *side) string {
		return s.told(s.VRead(s.t.Context(), s.as(role), s.typ(n), s.id(n), version))
	}}
}

func (m *metamorph) read() operation {
	n, role := m.resource(), pick(m, "integration", "clinician", "nurse", "ward", "patient")
	return operation{fmt.Sprint("read ", n, " as ", role), func(s *side) string {
		return s.told(s.Read(s.t.Context(), s.as(role), s.typ(n), s.id(n)))
	}}
}

func (m *metamorph) everything() operation {
	n := m.resource()
	return operation{fmt.Sprint("everything ", n), func(s *side) string {
		return s.pages(asSet, "_count=20", func(ctx context.Context, q string) (*Answer, error) {
			a, err := s.Operate(ctx, s.as("clinician"), Invocation{Code: "everything", Type: "Patient", ID: s.id(n), Query: q})
			if err != nil || !a.Streamed() {
				return a, err
			}
			whole := *a // its chunks, read to the end
			whole.body = nil
			for chunk, err := range a.Chunks(ctx) {
				if err != nil {
					return nil, err
				}
				whole.body = append(whole.body, chunk...)
			}
			whole.more = nil
			return &whole, nil
		})
	}}
}

func (m *metamorph) meta() operation {
	n, in := m.resource(), Invocation{Code: pick(m, "meta", "meta-add", "meta-delete")}
	if in.Code != "meta" {
		in.Body = metaBody(fmt.Sprintf(`{"tag":[{"system":"urn:t","code":"t%d"}]}`, m.n(3)))
	}
	return operation{fmt.Sprint(in.Code, " ", n), func(s *side) string {
		in := in
		in.Type, in.ID = s.typ(n), s.id(n)
		return s.told(s.Operate(s.t.Context(), s.as("integration"), in))
	}}
}

// rebuild makes the search index anew, under its key or another, or wraps all
// keys again.
func (m *metamorph) rebuild() operation {
	kind := m.n(3)
	return operation{fmt.Sprint("rebuild ", kind), func(s *side) string {
		work := []func() error{
			func() error { return s.Vault.Reindex(s.t.Context(), nil) },
			func() error { return s.Vault.RotateIndex(s.t.Context(), nil) },
			func() error { return s.ring.RotateKEK(s.t.Context(), func(int, int) {}) },
		}
		s.must(work[kind]())
		return "done"
	}}
}

func (m *metamorph) erase() operation {
	n := 2 * m.n(clientIDs/2)
	return operation{fmt.Sprint("erase ", n), func(s *side) string { return s.erase(s.id(n)) }}
}
