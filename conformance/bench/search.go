package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// searchClients are how many keep-alive connections search at once.
var searchClients = []int{1, 32}

// searched is what one kind of search measured.
type searched struct {
	searchQuery
	cost  cost
	loads []result // as searchClients
}

// cost is the sum of what the plans of some requests did.
type cost struct {
	requests, entries, candidates, matches int
	exact                                  bool
	refused                                string // why there is no plan
}

// waste is the part of the rechecked resources that did not match.
func (c cost) waste() float64 {
	if c.candidates == 0 {
		return 0
	}
	return float64(c.candidates-c.matches) / float64(c.candidates)
}

// measuredSet is one data folder and everything that was measured on it.
type measuredSet struct {
	*dataset
	searches []searched
	rest     []restResult
	ready    time.Duration
	rss      int64
	machine  machine
}

// benchSearch measures every size, filling the folders that are not there yet.
func benchSearch(ctx context.Context, s settings, binary, scratch string) error {
	rep := &searchReport{settings: s}
	dir := s.data
	if dir == "" {
		dir = scratch
	}
	for _, name := range strings.Split(s.search, ",") {
		n, err := parseSize(name)
		if err != nil {
			return err
		}
		set, err := measureSet(ctx, s, binary, filepath.Join(dir, "data"+name), n)
		if err != nil {
			return fmt.Errorf("%s resources: %w", name, err)
		}
		rep.sets = append(rep.sets, set)
	}
	if s.profile {
		fmt.Print(rep.profiles())
		return nil
	}
	fmt.Print(rep.tables())
	if s.write {
		return writeBetween("docs/performance.md", "search", rep.tables())
	}
	return nil
}

// measureSet fills a folder unless it is filled, and measures it after a fresh
// start.
func measureSet(ctx context.Context, s settings, binary, dir string, n int) (*measuredSet, error) {
	set := &measuredSet{machine: thisMachine()}
	d, err := loadDataset(dir)
	if err != nil {
		return nil, err
	}
	if d == nil {
		fmt.Fprintf(os.Stderr, "filling %s …\n", dir)
		srv, err := start(ctx, binary, dir, false)
		if err != nil {
			return nil, err
		}
		d, err = fill(ctx, s, srv, n)
		srv.stop()
		if err != nil {
			return nil, fmt.Errorf("%w\n%s", err, srv.errors())
		}
	}
	set.dataset = d
	srv, err := launch(ctx, binary, dir, s.profile)
	if err != nil {
		return nil, err
	}
	defer srv.stop()
	set.ready = srv.ready
	for _, q := range d.queries() {
		if s.only != "" && s.only != q.name {
			continue
		}
		r, err := measureQuery(ctx, s, srv, q)
		if err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", q.name, err, srv.errors())
		}
		for _, l := range r.loads {
			set.rss = max(set.rss, l.rss)
		}
		set.searches = append(set.searches, r)
	}
	if s.rest && !s.profile {
		set.rest, err = measureREST(ctx, s, srv, d)
	}
	return set, err
}

// explained is how many requests of a kind are explained.
const explained = 40

// measureQuery explains a sample of the requests, then drives them all.
func measureQuery(ctx context.Context, s settings, srv *server, q searchQuery) (r searched, err error) {
	fmt.Fprintf(os.Stderr, "%s …\n", q.name)
	r.searchQuery = q
	r.cost = srv.explain(q.paths)
	var requests []prepared
	for _, path := range q.paths {
		requests = append(requests, prepared{Bytes: httpRequest("GET", "/fhir/"+path, srv.addr, srv.tokens["clinician"], nil)})
	}
	clients := searchClients
	if s.profile {
		clients = clients[len(clients)-1:]
	}
	for _, n := range clients {
		s.conns = n
		l := load{Name: q.name, Want: 200, Requests: requests, PerCall: 1, Unit: "req/s"}
		for len(l.Requests) < n { // one request each, at least
			l.Requests = append(l.Requests, requests...)
		}
		res, err := runLoad(ctx, s, srv, l)
		if err != nil {
			return r, err
		}
		r.loads = append(r.loads, res)
	}
	return r, nil
}

// explain sums up the plans of a sample. What the server does not explain is
// said in the cost.
func (s *server) explain(paths []string) (c cost) {
	c.exact = true
	step := max(len(paths)/explained, 1)
	for i := 0; i < len(paths); i += step {
		var x struct {
			Parts []struct {
				IndexEntries int  `json:"indexEntries"`
				Candidates   int  `json:"candidates"`
				Matches      int  `json:"matches"`
				Exact        bool `json:"exact"`
			} `json:"parts"`
		}
		in := map[string]string{"token": s.tokens["clinician"], "query": paths[i]}
		if err := s.admin("/search/explain", in, &x); err != nil {
			c.refused = err.Error()
			return c
		}
		c.requests++
		for _, p := range x.Parts {
			c.entries, c.candidates, c.matches = c.entries+p.IndexEntries, c.candidates+p.Candidates, c.matches+p.Matches
			c.exact = c.exact && p.Exact
		}
	}
	return c
}

// find is the same search on another set.
func (m *measuredSet) find(name string) *searched {
	if i := slices.IndexFunc(m.searches, func(s searched) bool { return s.name == name }); i >= 0 {
		return &m.searches[i]
	}
	return nil
}
