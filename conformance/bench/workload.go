package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/internal/demo"
)

const (
	bundleSize = 100 // entries of a measured transaction
	createMin  = 1 << 10
	createMax  = 3 << 10
)

// load is one kind of request to measure.
type load struct {
	Name     string
	Want     int // status
	Requests []prepared
	PerCall  float64 // resources per request
	Unit     string
	Goal     float64 // per second
	GoalP99  time.Duration
	then     func(*report) error
}

// stored is a resource on the server.
type stored struct {
	path string // Type/id
	body []byte // as it was sent, under its id
}

// workload is everything that the loads are made of.
type workload struct {
	srv           *server
	resources     []stored
	bundles       []prepared
	bundleEntries float64 // mean
}

// prepare loads the demo patients once more through the API, so that their ids
// are known, and cuts the measured bundles.
func prepare(ctx context.Context, srv *server) (*workload, error) {
	w := &workload{srv: srv}
	entries := 0
	for name, data := range demo.Bundles() {
		if err := w.store(ctx, data); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		body, n, err := cutBundle(data, bundleSize)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if n < bundleSize*8/10 {
			continue // a short life
		}
		entries += n
		w.bundles = append(w.bundles, withFreshUUIDs(w.request("POST", "", "integration", body)))
	}
	if len(w.bundles) == 0 {
		return nil, errors.New("no bundle is long enough to be measured")
	}
	w.bundleEntries = float64(entries) / float64(len(w.bundles))
	return w, nil
}

// request renders a request for the load generator.
func (w *workload) request(method, path, role string, body []byte) []byte {
	target := "/fhir"
	if path != "" {
		target += "/" + path
	}
	return httpRequest(method, target, w.srv.addr, w.srv.tokens[role], body)
}

// store posts a transaction and notes where its resources are.
func (w *workload) store(ctx context.Context, bundle []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.srv.base, bytes.NewReader(bundle))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+w.srv.tokens["integration"])
	req.Header.Set("Content-Type", "application/fhir+json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return w.note(bundle, answer)
}

var bundleLimits = fhir.Limits{MaxBytes: 64 << 20}

func (w *workload) note(sent, answer []byte) error {
	in, err := fhir.Parse(sent, bundleLimits)
	if err != nil {
		return err
	}
	out, err := fhir.Parse(answer, bundleLimits)
	if err != nil {
		return err
	}
	entries, responses := in.Root().Member("entry"), out.Root().Member("entry")
	if responses == nil || responses.Len() != entries.Len() {
		return errors.New("the answer has another number of entries")
	}
	targets := make([]string, 0, 2*entries.Len())
	paths := make([]string, entries.Len())
	for i := range entries.Len() {
		location, _, _ := strings.Cut(responses.At(i).Member("response").Member("location").Text(), "/_history")
		location = strings.TrimPrefix(location, w.srv.base+"/")
		paths[i] = location
		targets = append(targets, entries.At(i).Member("fullUrl").Text(), location)
	}
	resolve := strings.NewReplacer(targets...)
	for i, path := range paths {
		body := resolve.Replace(string(entries.At(i).Member("resource").AppendJSON(nil)))
		r, err := fhir.Parse([]byte(body), bundleLimits)
		if err != nil {
			return err
		}
		_, id, _ := strings.Cut(path, "/")
		r.SetID(id)
		w.resources = append(w.resources, stored{path, r.AppendJSON(nil)})
	}
	return nil
}

var urn = regexp.MustCompile(`urn:uuid:[0-9a-fA-F-]{36}`)

// cutBundle keeps the first n entries whose references stay inside.
func cutBundle(data []byte, n int) ([]byte, int, error) {
	r, err := fhir.Parse(data, bundleLimits)
	if err != nil {
		return nil, 0, err
	}
	list := r.Root().Member("entry")
	kept, inside := []fhir.Node{}, map[string]bool{}
	for i := 0; i < list.Len() && len(kept) < n; i++ {
		e := list.At(i)
		own := e.Member("fullUrl").Text()
		complete := true
		for _, ref := range urn.FindAllString(string(e.Member("resource").AppendJSON(nil)), -1) {
			complete = complete && (ref == own || inside[ref])
		}
		if complete {
			inside[own] = true
			kept = append(kept, *e)
		}
	}
	r.Root().Set("entry", fhir.NewArray(kept...))
	return r.AppendJSON(nil), len(kept), nil
}

// withFreshUUIDs makes every send of the request a set of new resources.
func withFreshUUIDs(request []byte) prepared {
	p := prepared{Bytes: request}
	number := map[string]int{}
	for _, at := range urn.FindAllIndex(request, -1) {
		u := string(request[at[0]:at[1]])
		if _, known := number[u]; !known {
			number[u] = p.Fresh
			p.Fresh++
		}
		p.UUIDs = append(p.UUIDs, at[0]+len("urn:uuid:"))
		p.Which = append(p.Which, number[u])
	}
	return p
}

// loads are the measured loads in their order: sizes are taken after the
// transactions, when there is enough to divide, and after the updates.
func (w *workload) loads() []load {
	var reads, masked, creates, updates []prepared
	for _, r := range w.resources {
		reads = append(reads, prepared{Bytes: w.request("GET", r.path, "clinician", nil)})
		masked = append(masked, prepared{Bytes: w.request("GET", r.path, "researcher", nil)})
		if !strings.HasPrefix(r.path, "Observation/") {
			continue
		}
		updates = append(updates, prepared{Bytes: w.request("PUT", r.path, "clinician", r.body)})
		if len(r.body) >= createMin && len(r.body) <= createMax {
			creates = append(creates, prepared{Bytes: w.request("POST", "Observation", "clinician", r.body)})
		}
	}
	list := []load{
		{Name: "read by id, clinician", Want: 200, Requests: reads, PerCall: 1, Unit: "req/s", Goal: 10_000, GoalP99: 15 * time.Millisecond},
		{Name: "read by id, researcher (masked)", Want: 200, Requests: masked, PerCall: 1, Unit: "req/s"},
		{Name: "transaction", Want: 200, Requests: w.bundles, PerCall: w.bundleEntries, Unit: "resources/s", Goal: 3000,
			then: func(rep *report) (err error) { rep.afterBundles, err = w.srv.sizes(); return err }},
		{Name: "create, 1–3 kB Observation", Want: 201, Requests: creates, PerCall: 1, Unit: "req/s", Goal: 3000, GoalP99: 60 * time.Millisecond},
		{Name: "update, Observation", Want: 200, Requests: updates, PerCall: 1, Unit: "req/s",
			then: func(rep *report) (err error) { rep.afterUpdates, err = w.srv.sizes(); return err }},
	}
	for _, n := range transactionSizes {
		list = append(list, load{Name: fmt.Sprintf("transaction, %d POST", n), Want: 200, Requests: w.posts(n), PerCall: float64(n), Unit: "resources/s"})
	}
	return list
}

// transactionSizes are the entries of the transactions that add to patients
// who exist.
var transactionSizes = []int{1, 20, 500}

// posts are transactions of n resources each, of patients who exist.
func (w *workload) posts(n int) (list []prepared) {
	rest := slices.DeleteFunc(slices.Clone(w.resources), func(r stored) bool { return strings.HasPrefix(r.path, "Patient/") })
	for len(rest) > 0 && len(rest) < n {
		rest = append(rest, rest...)
	}
	for ; len(rest) >= n; rest = rest[n:] {
		body := []byte(`{"resourceType":"Bundle","type":"transaction","entry":[`)
		for i, r := range rest[:n] {
			if i > 0 {
				body = append(body, ',')
			}
			typ, _, _ := strings.Cut(r.path, "/")
			body = append(append(body, `{"resource":`...), r.body...)
			body = fmt.Appendf(body, `,"request":{"method":"POST","url":"%s"}}`, typ)
		}
		list = append(list, prepared{Bytes: w.request("POST", "", "integration", append(body, "]}"...))})
	}
	return list
}
