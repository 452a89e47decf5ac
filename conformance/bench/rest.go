package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

// restResult is a row of what the whole API measured on a data set.
type restResult struct {
	name, measured, goal string
}

// capabilities are the offers of a CapabilityStatement that are measured.
type capabilities struct {
	Rest []struct {
		Interaction []struct {
			Code string `json:"code"`
		} `json:"interaction"`
		Operation []operation `json:"operation"`
		Resource  []struct {
			Type              string      `json:"type"`
			ConditionalUpdate bool        `json:"conditionalUpdate"`
			Operation         []operation `json:"operation"`
		} `json:"resource"`
	} `json:"rest"`
}

type operation struct {
	Name string `json:"name"`
}

func isEverything(o operation) bool { return strings.TrimPrefix(o.Name, "$") == "everything" }

func (c *capabilities) conditionalUpdate() bool {
	for _, r := range c.Rest {
		for _, t := range r.Resource {
			if t.Type == "Patient" && t.ConditionalUpdate {
				return true
			}
		}
	}
	return false
}

func (c *capabilities) everything() bool {
	for _, r := range c.Rest {
		for _, t := range r.Resource {
			if t.Type == "Patient" && slices.ContainsFunc(t.Operation, isEverything) {
				return true
			}
		}
	}
	return false
}

func (c *capabilities) systemHistory() bool {
	for _, r := range c.Rest {
		for _, i := range r.Interaction {
			if i.Code == "history-system" {
				return true
			}
		}
	}
	return false
}

// measureREST measures what the server says that it offers, and says what it
// does not.
func measureREST(ctx context.Context, s settings, srv *server, d *dataset) (rows []restResult, err error) {
	var offers capabilities
	body, err := srv.fetch(ctx, srv.base+"/metadata", "clinician")
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(body, &offers); err != nil {
		return nil, fmt.Errorf("the CapabilityStatement: %w", err)
	}
	for _, m := range []struct {
		name, goal string
		offered    bool
		run        func() (string, error)
	}{
		{"conditional update of a Patient by identifier", "p50 ≤ 3 ms and three fsyncs", offers.conditionalUpdate(),
			func() (string, error) { return measureConditionalUpdate(ctx, s, srv, d) }},
		{"Patient/$everything, " + thousands(float64(d.LargestN)) + " resources", "first byte ≤ 50 ms, ≥ 5,000 resources/s", offers.everything(),
			func() (string, error) { return measureEverything(ctx, s, srv, d) }},
		{"history of the system, pages of 1,000", "≥ 10,000 versions/s", offers.systemHistory(),
			func() (string, error) { return measureFeed(ctx, s, srv) }},
	} {
		row := restResult{name: m.name, goal: m.goal, measured: "not offered by the server"}
		if m.offered {
			fmt.Fprintf(os.Stderr, "%s …\n", m.name)
			if row.measured, err = m.run(); err != nil {
				return nil, fmt.Errorf("%s: %w", m.name, err)
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func (s *server) get(ctx context.Context, target, role string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+s.tokens[role])
	req.Header.Set("Accept", "application/fhir+json")
	resp, err := http.DefaultClient.Do(req)
	if err == nil && resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close()
		err = fmt.Errorf("status %d", resp.StatusCode)
	}
	return resp, err
}

func (s *server) fetch(ctx context.Context, target, role string) ([]byte, error) {
	resp, err := s.get(ctx, target, role)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(resp.Body)
}

// measureConditionalUpdate sends patients back as they are, each under its
// identifier.
func measureConditionalUpdate(ctx context.Context, s settings, srv *server, d *dataset) (string, error) {
	var requests []prepared
	for _, p := range d.Persons {
		body, err := srv.fetch(ctx, srv.base+"/Patient/"+p.ID, "integration")
		if err != nil {
			return "", err
		}
		requests = append(requests, prepared{Bytes: httpRequest("PUT", "/fhir/Patient?identifier="+url.QueryEscape(p.Identifier), srv.addr, srv.tokens["integration"], body)})
	}
	var texts []string
	for _, n := range searchClients {
		s.conns = min(n, len(requests))
		r, err := runLoad(ctx, s, srv, load{Name: "conditional update", Want: 200, Requests: requests, PerCall: 1})
		if err != nil {
			return "", err
		}
		texts = append(texts, fmt.Sprintf("%d clients: p50 %s, p99 %s, %s/s, errors %s (fsync p50 %s)", s.conns, ms(r.p50), ms(r.p99), thousands(r.rate), errorText(r.errors), ms(r.syncBefore)))
	}
	return strings.Join(texts, "; "), nil
}

// measureEverything reads the largest patient's record.
func measureEverything(ctx context.Context, s settings, srv *server, d *dataset) (string, error) {
	var firsts, rates []float64
	entries := 0
	for range s.rounds + 2 { // the first warm the caches
		began := time.Now()
		first, n, err := srv.walk(ctx, srv.base+"/Patient/"+d.Largest+"/$everything", "clinician", time.Time{})
		if err != nil {
			return "", err
		}
		entries = n
		firsts, rates = append(firsts, float64(first)), append(rates, float64(n)/time.Since(began).Seconds())
	}
	return fmt.Sprintf("first byte %s, %s resources/s (%s entries), RSS %s", ms(time.Duration(median(firsts))), thousands(median(rates)), thousands(float64(entries)), mib(srv.rss())), nil
}

// measureFeed follows the feed for the time of a round.
func measureFeed(ctx context.Context, s settings, srv *server) (string, error) {
	var rates []float64
	for range s.rounds {
		began := time.Now()
		_, n, err := srv.walk(ctx, srv.base+"/_history?_count=1000", "integration", began.Add(s.duration))
		if err != nil {
			return "", err
		}
		rates = append(rates, float64(n)/time.Since(began).Seconds())
	}
	return thousands(median(rates)) + " versions/s", nil
}

// walk reads a Bundle and the pages behind it until the end, when it is set,
// and counts entries. first is the time to the first byte of the first page.
func (s *server) walk(ctx context.Context, target, role string, end time.Time) (first time.Duration, entries int, err error) {
	for page := 0; target != ""; page++ {
		if page > 0 && !end.IsZero() && time.Now().After(end) {
			break
		}
		began := time.Now()
		resp, err := s.get(ctx, target, role)
		if err != nil {
			return 0, 0, err
		}
		var head [1]byte
		_, err = io.ReadFull(resp.Body, head[:])
		if page == 0 {
			first = time.Since(began)
		}
		body, readErr := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err = errors.Join(err, readErr); err != nil {
			return 0, 0, err
		}
		body = append(head[:], body...)
		entries += bytes.Count(body, []byte(`"fullUrl":`))
		target = nextLink(body)
	}
	return first, entries, nil
}

// nextLink is the url of the link with relation next, empty without one.
func nextLink(bundle []byte) string {
	var b struct {
		Link []struct{ Relation, URL string } `json:"link"`
	}
	if json.Unmarshal(bundle, &b) != nil {
		return ""
	}
	for _, l := range b.Link {
		if l.Relation == "next" {
			return l.URL
		}
	}
	return ""
}

func (r *searchReport) restTable(b *strings.Builder) {
	if len(r.sets[0].rest) == 0 {
		return
	}
	b.WriteString("| interaction | goal |")
	for _, s := range r.sets {
		fmt.Fprintf(b, " %s resources |", thousands(float64(s.Resources)))
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(r.sets)) + "\n")
	for i, row := range r.sets[0].rest {
		fmt.Fprintf(b, "| %s | %s |", row.name, row.goal)
		for _, s := range r.sets {
			fmt.Fprintf(b, " %s |", s.rest[i].measured)
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
}
