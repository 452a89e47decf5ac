package app

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/crypto/field/fieldtest"
	"github.com/fieldseal/fieldseal/fhir/interaction"
	"github.com/fieldseal/fieldseal/internal/config"
	"github.com/fieldseal/fieldseal/internal/demo"
)

// costPairs is how many ABBA pairs of rounds are compared.
const costPairs = 10

// BenchmarkEncryptionCost compares the CPU time per request of the whole server
// with the field cipher and with a cipher that encrypts nothing: everything
// else is the same, the load comes from a process of its own. It reports the
// median of the pairs' ratios, in percent, for reads and creates.
func BenchmarkEncryptionCost(b *testing.B) {
	if testing.Short() {
		b.Skip("takes a minute of load; run it without -short")
	}
	real, null := newCostServer(b, nil), newCostServer(b, fieldtest.NewInsecureNull)
	for _, mode := range []string{"read", "create"} {
		var ratios []float64
		for i := range costPairs {
			first, second := real, null
			if i%2 == 1 {
				first, second = null, real
			}
			a, z := first.cost(b, mode), second.cost(b, mode)
			if i%2 == 1 {
				a, z = z, a
			}
			ratios = append(ratios, 100*(a/z-1))
		}
		slices.Sort(ratios)
		b.ReportMetric((ratios[costPairs/2-1]+ratios[costPairs/2])/2, mode+"-%")
	}
	b.ReportMetric(0, "ns/op")
}

type costServer struct {
	url, patient, token string
}

func newCostServer(b *testing.B, cipher func(*field.Table) *fieldtest.InsecureNull) *costServer {
	b.Helper()
	ctx := b.Context()
	cfg, err := config.New().Load(nil)
	if err != nil {
		b.Fatal(err)
	}
	cfg.Data, cfg.StoreMinFree, cfg.AuditMinFree = b.TempDir(), 1, 1
	a, err := Open(ctx, cfg, "http://127.0.0.1/fhir", slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = a.Close() })
	if cipher != nil {
		if err := a.assemble(ctx, cipher(a.classes)); err != nil {
			b.Fatal(err)
		}
	}
	s := httptest.NewServer(a.handler)
	b.Cleanup(s.Close)
	c := &costServer{url: s.URL + "/fhir"}
	c.load(b, a)
	return c
}

func (c *costServer) load(b *testing.B, a *App) {
	b.Helper()
	loader, err := a.demoSubject(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	var d demoFound
	for _, bundle := range demo.Bundles() {
		answer, err := a.service.Bundle(b.Context(), interaction.Call{Subject: loader, Return: interaction.Minimal}, bundle)
		if err != nil {
			b.Fatal(err)
		}
		if err := d.note(answer.Body()); err != nil {
			b.Fatal(err)
		}
		break
	}
	users, err := a.demoUsers(b.Context(), d)
	if err != nil {
		b.Fatal(err)
	}
	c.patient, c.token = d.Patient, users.Tokens["clinician"]
}

// cost is the CPU time of this process per request, in nanoseconds, while a
// child process sends the load.
func (c *costServer) cost(b *testing.B, mode string) float64 {
	b.Helper()
	before := cpu(b)
	cmd := exec.CommandContext(b.Context(), os.Args[0], "-test.run=^TestCostLoad$")
	cmd.Env = append(os.Environ(), "FIELDSEAL_COST_MODE="+mode, "FIELDSEAL_COST_URL="+c.url,
		"FIELDSEAL_COST_PATIENT="+c.patient, "FIELDSEAL_COST_TOKEN="+c.token)
	out, err := cmd.CombinedOutput()
	if err != nil {
		b.Fatalf("load: %v\n%s", err, out)
	}
	_, count, _ := strings.Cut(string(out), "requests=")
	count, _, _ = strings.Cut(count, "\n")
	n, err := strconv.Atoi(count)
	if err != nil || n == 0 {
		b.Fatalf("the load did not tell how much it sent: %s", out)
	}
	return float64(cpu(b)-before) / float64(n)
}

func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// costObservation is a resource of about 1 kB.
const costObservation = `{"resourceType":"Observation","status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs","display":"vital-signs"}]}],"code":{"coding":[{"system":"http://loinc.org","code":"55284-4","display":"Blood Pressure"}],"text":"Blood Pressure"},"subject":{"reference":"Patient/%s"},"effectiveDateTime":"2010-06-02T15:24:22-04:00","issued":"2010-06-02T15:24:22.131-04:00","component":[{"code":{"coding":[{"system":"http://loinc.org","code":"8462-4","display":"Diastolic Blood Pressure"}],"text":"Diastolic Blood Pressure"},"valueQuantity":{"value":87.43,"unit":"mm[Hg]","system":"http://unitsofmeasure.org","code":"mm[Hg]"}},{"code":{"coding":[{"system":"http://loinc.org","code":"8480-6","display":"Systolic Blood Pressure"}],"text":"Systolic Blood Pressure"},"valueQuantity":{"value":117.43,"unit":"mm[Hg]","system":"http://unitsofmeasure.org","code":"mm[Hg]"}}]}`

// costRequests is how many requests one round sends, over costClients
// connections.
const (
	costRequests = 6000
	costClients  = 32
)

// TestCostLoad is the load process of BenchmarkEncryptionCost; by itself it
// has nothing to send to.
func TestCostLoad(t *testing.T) {
	mode, url := os.Getenv("FIELDSEAL_COST_MODE"), os.Getenv("FIELDSEAL_COST_URL")
	if url == "" {
		return
	}
	patient := os.Getenv("FIELDSEAL_COST_PATIENT")
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: costClients}}
	var wg sync.WaitGroup
	for range costClients {
		wg.Go(func() {
			for range costRequests / costClients {
				if err := costRequest(t.Context(), client, mode, url, patient); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	fmt.Printf("requests=%d\n", costRequests/costClients*costClients)
}

func costRequest(ctx context.Context, client *http.Client, mode, url, patient string) error {
	method, target, want, body := http.MethodGet, url+"/Patient/"+patient, http.StatusOK, ""
	if mode == "create" {
		method, target, want, body = http.MethodPost, url+"/Observation", http.StatusCreated, fmt.Sprintf(costObservation, patient)
	}
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+os.Getenv("FIELDSEAL_COST_TOKEN"))
	req.Header.Set("Content-Type", "application/fhir+json")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != want {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return nil
}
