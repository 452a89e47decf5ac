package app

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/fhir/definition"
)

// tenRules is about the smallest policy that may be activated.
const tenRules = `role, role:clinician, reads
role, role:integration, writes
role, role:privacy-officer, reads the trail
role, role:admin, administers
role, role:security-officer, decides
p, role:clinician, record, read|search, *, *, all_patients, allow
p, role:integration, record, create|read|update|delete, *, *, all_patients, allow
p, role:privacy-officer, AuditEvent, read|search, *, *, all_patients, allow
p, role:admin, Server, admin, administrative, *, all_patients, allow
p, role:security-officer, Policy, admin, administrative, *, all_patients, allow
`

// thousandRules has rules for the same roles and for forty others.
func thousandRules() string {
	var b strings.Builder
	b.WriteString(tenRules)
	types := definition.Default().ResourceTypes()
	for i := range 40 {
		fmt.Fprintf(&b, "role, role:r%d, x\n", i)
	}
	for i := range 800 {
		fmt.Fprintf(&b, "p, role:r%d, %s, read, clinical, TREAT, org, allow\n", i%40, types[i/40])
	}
	for i := range 190 { // that the requests have to do with
		fmt.Fprintf(&b, "p, role:clinician, %s, %s, restricted, HMARKT, all_patients, deny\n", types[i/2], []string{"read", "search"}[i%2])
	}
	return b.String()
}

// BenchmarkReadByRules compares the processor time of reads under 10 and under
// 1,000 rules, in turn within one run: "ratio" is to be at most 1.05.
func BenchmarkReadByRules(b *testing.B) {
	var rounds [2]func()
	for i, text := range []string{tenRules, thousandRules()} {
		cfg := settings(b, b.TempDir())
		cfg.Policy = filepath.Join(b.TempDir(), "policy.csv")
		if err := os.WriteFile(cfg.Policy, []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
		a, err := Open(b.Context(), cfg, base, quiet)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = a.Close() })
		s := httptest.NewServer(a.root)
		send(b, a, s, http.MethodPut, "/fhir/Patient/p1", `{"resourceType":"Patient","id":"p1","name":[{"family":"x"}]}`, http.StatusCreated)
		s.Close()
		bearer := "Bearer " + a.bearer(b, "clinician")
		rounds[i] = func() { readMany(b, a.root, bearer) }
		rounds[i]() // caches
	}
	var used [2]time.Duration
	for b.Loop() {
		for i, round := range rounds {
			before := cpu(b)
			round()
			used[i] += cpu(b) - before
		}
	}
	b.ReportMetric(float64(used[1])/float64(used[0]), "ratio")
	b.ReportMetric(float64(used[1].Nanoseconds())/float64(b.N*readsARound), "cpu-ns/read")
}

const readsARound = 2000

// readMany reads from 16 goroutines, so that audit events are written in
// groups.
func readMany(b *testing.B, h http.Handler, bearer string) {
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range readsARound / 16 {
				r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/fhir/Patient/p1", nil)
				r.Header.Set("Authorization", bearer)
				w := httptest.NewRecorder()
				if h.ServeHTTP(w, r); w.Code != http.StatusOK {
					b.Errorf("read: %d", w.Code)
					return
				}
			}
		})
	}
	wg.Wait()
}
