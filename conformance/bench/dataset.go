package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fieldseal/fieldseal/conformance/bench/synthea"
	"github.com/fieldseal/fieldseal/fhir"
)

// datasetFile stands in a filled data folder and says what is in it, so that
// the folder can be measured again. It describes synthetic persons only.
const datasetFile = "bench-dataset.json"

// sampleSpan is how many of the first resources the measured persons are taken
// from. A larger set begins with them, so that both sets give the same results.
const sampleSpan = 100_000

// maxPersons bounds the sample.
const maxPersons = 300

// dataset is what a data folder was filled with.
type dataset struct {
	Resources int       `json:"resources"`
	Seed      uint64    `json:"seed"`
	Source    []string  `json:"source"`
	Fill      filled    `json:"fill"`
	Persons   []person  `json:"persons"`
	Largest   string    `json:"largest"` // the patient with the most resources …
	LargestN  int       `json:"largestResources"`
	Codes     codeCount `json:"codes"` // how many resources carry "Type system|code"
	at        string    // the folder
}

// person is what searches need to know of one.
type person struct {
	ID         string    `json:"id"`
	Identifier string    `json:"identifier"` // system|value
	Family     string    `json:"family"`
	BirthDate  string    `json:"birthDate"`
	Codes      codeCount `json:"codes"`      // of the Observations
	Encounters []string  `json:"encounters"` // dates of their starts
}

type codeCount map[string]int

// observe notes what searches can ask for in a group.
func (d *dataset) observe(g synthea.Group) error {
	codes := codeCount{}
	for _, r := range g.Resources {
		if r.Type == "Observation" || r.Type == "Condition" {
			if c := codeOf(r.JSON); c != "" {
				d.Codes[r.Type+" "+c]++
				codes[r.Type+" "+c]++
			}
		}
	}
	if g.Shared {
		return nil
	}
	if len(g.Resources) > d.LargestN {
		d.Largest, d.LargestN = g.Resources[0].ID, len(g.Resources)
	}
	if len(d.Persons) == maxPersons || d.Fill.Resources+len(g.Resources) > sampleSpan {
		return nil
	}
	p, err := personOf(g.Resources, codes)
	if err == nil {
		d.Persons = append(d.Persons, p)
	}
	return err
}

func personOf(list []synthea.Resource, codes codeCount) (p person, err error) {
	patient, err := fhir.Parse(list[0].JSON, fhir.DefaultLimits)
	if err != nil {
		return p, err
	}
	root := patient.Root()
	ids := root.Member("identifier")
	p = person{ID: patient.ID(), Family: root.Member("name").At(0).Member("family").Text(), BirthDate: root.Member("birthDate").Text(), Codes: codeCount{},
		Identifier: ids.At(ids.Len()-1).Member("system").Text() + "|" + ids.At(ids.Len()-1).Member("value").Text()}
	for c, n := range codes {
		if code, ok := strings.CutPrefix(c, "Observation "); ok {
			p.Codes[code] = n
		}
	}
	for _, r := range list {
		if r.Type != "Encounter" {
			continue
		}
		e, err := fhir.Parse(r.JSON, fhir.DefaultLimits)
		if err != nil {
			return p, err
		}
		if start := e.Root().Member("period").Member("start").Text(); len(start) > len(time.DateOnly) {
			p.Encounters = append(p.Encounters, start[:len(time.DateOnly)])
		}
	}
	return p, nil
}

var (
	codeStart  = []byte(`"code":{"coding":[{"system":"`)
	codeMiddle = []byte(`","code":"`)
)

// codeOf is system|code of the first coding of the element code.
func codeOf(json []byte) string {
	_, rest, found := bytes.Cut(json, codeStart)
	system, rest, ok := bytes.Cut(rest, codeMiddle)
	if !found || !ok {
		return ""
	}
	code, _, _ := bytes.Cut(rest, []byte{'"'})
	return string(system) + "|" + string(code)
}

// nearest are the codes of a type whose numbers are closest to n, by ratio.
func (c codeCount) nearest(resourceType string, n, most int) []string {
	distance := func(key string) float64 { return math.Abs(math.Log(float64(c[key]) / float64(n))) }
	keys := slices.Sorted(maps.Keys(c))
	keys = slices.DeleteFunc(keys, func(k string) bool { return !strings.HasPrefix(k, resourceType+" ") })
	slices.SortStableFunc(keys, func(a, b string) int { return int(math.Copysign(1, distance(a)-distance(b))) })
	for i, k := range keys {
		keys[i] = strings.TrimPrefix(k, resourceType+" ")
	}
	return keys[:min(len(keys), most)]
}

func (d *dataset) save() error {
	b, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(d.at, datasetFile), b, 0o600)
}

// loadDataset reads what an earlier run left, nil when there is nothing.
func loadDataset(dir string) (*dataset, error) {
	b, err := os.ReadFile(filepath.Join(dir, datasetFile))
	if errors.Is(err, os.ErrNotExist) {
		if rest, err := os.ReadDir(dir); err == nil && len(rest) > 0 {
			return nil, fmt.Errorf("%s is neither empty nor was it filled to its end by this program", dir)
		}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	d := &dataset{at: dir}
	return d, json.Unmarshal(b, d)
}

// searchQuery is one kind of search and what is asked with it.
type searchQuery struct {
	name  string
	paths []string
	goal  searchGoal
}

type searchGoal struct {
	p50   time.Duration // with one client
	rate  float64       // with many
	waste float64       // of the candidates
}

// maxPaths bounds the requests of one kind.
const maxPaths = 600

// goalLookup is the goal for what finds a few resources by its index.
var goalLookup = searchGoal{2 * time.Millisecond, 4000, 0.2}

// queries are the measured searches.
func (d *dataset) queries() []searchQuery {
	var byCode, byChain, withInclude, byIdentifier, byName, byBirth, byPeriod, byDay []string
	e := url.QueryEscape
	for _, p := range d.Persons {
		byIdentifier = append(byIdentifier, "Patient?identifier="+e(p.Identifier))
		byBirth = append(byBirth, "Patient?family="+e(p.Family)+"&birthdate="+p.BirthDate)
		if letters := []rune(p.Family); len(letters) >= 3 {
			byName = append(byName, "Patient?name="+e(strings.ToLower(string(letters[:3]))))
		}
		for _, code := range slices.Sorted(maps.Keys(p.Codes))[:min(len(p.Codes), 3)] {
			byCode = append(byCode, "Observation?patient="+p.ID+"&code="+e(code))
			byChain = append(byChain, "Observation?patient.identifier="+e(p.Identifier)+"&code="+e(code))
			withInclude = append(withInclude, "Observation?patient="+p.ID+"&code="+e(code)+"&_include=Observation:encounter")
		}
		for _, date := range p.Encounters[:min(len(p.Encounters), 2)] {
			byPeriod = append(byPeriod, "Encounter?date=ge"+date+"&date=lt"+plusDays(date, 366)+"&patient="+p.ID)
			byDay = append(byDay, "Encounter?date=ge"+date+"&date=lt"+plusDays(date, 1))
		}
	}
	count := func(resourceType string, n, most int) (paths []string) {
		for _, code := range d.Codes.nearest(resourceType, n, most) {
			paths = append(paths, resourceType+"?code="+e(code)+"&_summary=count")
		}
		return paths
	}
	many := count("Observation", 100_000, 1)
	list := []searchQuery{
		{"Observation?patient&code", byCode, goalLookup},
		{"Patient?identifier", byIdentifier, goalLookup},
		{"Patient?family&birthdate", byBirth, searchGoal{waste: 0.2}},
		{"Encounter?date=ge&date=lt&patient", byPeriod, searchGoal{waste: 0.2}},
		{"Condition?code&_summary=count, about 150", count("Condition", 150, 5), searchGoal{waste: 0.2}},
		{"Observation?patient.identifier&code (chain)", byChain, searchGoal{waste: 0.2}},
		{"Observation?patient&code&_include=Observation:encounter", withInclude, searchGoal{waste: 0.2}},
		{"Patient?name, three letters, first 20", byName, searchGoal{}},
		{"Observation?code&_summary=count, " + thousands(float64(d.count(many))), many, searchGoal{p50: 50 * time.Millisecond}},
		{"Encounter?date, one day of all patients", byDay, searchGoal{}},
	}
	for i := range list {
		list[i].paths = list[i].paths[:min(len(list[i].paths), maxPaths)]
	}
	return slices.DeleteFunc(list, func(q searchQuery) bool { return len(q.paths) == 0 })
}

// count is the number of resources that the counting searches find.
func (d *dataset) count(paths []string) int {
	if len(paths) == 0 {
		return 0
	}
	return d.Codes["Observation "+d.Codes.nearest("Observation", 100_000, 1)[0]]
}

func plusDays(date string, n int) string {
	t, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return date
	}
	return t.AddDate(0, 0, n).Format(time.DateOnly)
}

// parseSize reads 100k, 1m or a number.
func parseSize(s string) (int, error) {
	factor := 1
	switch {
	case strings.HasSuffix(s, "k"):
		s, factor = strings.TrimSuffix(s, "k"), 1000
	case strings.HasSuffix(s, "m"):
		s, factor = strings.TrimSuffix(s, "m"), 1_000_000
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > math.MaxInt/factor {
		return 0, fmt.Errorf("a size is a number with k or m, such as 100k")
	}
	return n * factor, nil
}
