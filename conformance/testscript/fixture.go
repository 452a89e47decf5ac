package testscript

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// prepare reads the fixtures and creates those that the script wants on the
// server (R4 testscript.html#fixture).
func (x *run) prepare() PartResult {
	p := PartResult{Name: "fixtures", Verdict: Skip}
	for _, f := range x.script.Fixtures {
		m, err := x.load(f)
		if err != nil {
			p.add(ActionResult{Label: f.ID, Verdict: Error, Detail: err.Error()})
			continue
		}
		x.fixtures[f.ID] = m
		if !f.Autocreate {
			continue
		}
		if err := x.create(f.ID, m); err != nil {
			p.add(failed("autocreate "+f.ID, err))
		} else {
			p.add(ActionResult{Label: "autocreate " + f.ID, Verdict: Pass})
		}
	}
	return p
}

// load finds what a fixture refers to: a contained resource, a file beside the
// script, or a resource of the server.
func (x *run) load(f fixture) (*message, error) {
	ref := f.Resource.Reference
	if id, contained := strings.CutPrefix(ref, "#"); contained {
		for _, raw := range x.script.Contained {
			var o struct {
				ID string `json:"id"`
			}
			if json.Unmarshal(raw, &o) == nil && o.ID == id {
				return &message{body: raw}, nil
			}
		}
		return nil, fmt.Errorf("no contained resource is called %s", id)
	}
	if b, ok := x.file(ref); ok {
		return &message{body: b}, nil
	}
	resourceType, id, _, ok := fromURL(ref)
	if !ok {
		return nil, fmt.Errorf("the fixture %s is neither a file below the script's folder nor a resource", f.ID)
	}
	answer, err := x.send(&message{method: http.MethodGet, url: strings.TrimSuffix(x.Base, "/") + "/" + resourceType + "/" + id,
		header: http.Header{"Accept": {"application/fhir+json"}}})
	if err != nil {
		return nil, err
	}
	if answer.status != http.StatusOK {
		return nil, fmt.Errorf("the fixture %s is neither a file nor on the server", f.ID)
	}
	return answer, nil
}

// file reads below the script's folder and nowhere else.
func (x *run) file(ref string) ([]byte, bool) {
	root, err := os.OpenRoot(filepath.Dir(x.script.File))
	if err != nil {
		return nil, false
	}
	defer root.Close()
	name := filepath.Clean(filepath.FromSlash(strings.TrimPrefix(ref, "./")))
	for _, candidate := range []string{name, name + ".json", filepath.Join("fixtures", name), filepath.Join("fixtures", name+".json"), filepath.Join("_reference", "resources", name+".json")} {
		if b, err := root.ReadFile(candidate); err == nil {
			return b, true
		}
	}
	return nil, false
}

// create stores a fixture, under its id when it has one.
func (x *run) create(id string, m *message) error {
	tree, err := m.tree()
	if err != nil {
		return err
	}
	resourceType, _ := tree["resourceType"].(string)
	logical, _ := tree["id"].(string)
	r := &message{method: http.MethodPost, url: strings.TrimSuffix(x.Base, "/") + "/" + resourceType, body: m.body,
		header: http.Header{"Content-Type": {"application/fhir+json"}, "Accept": {"application/fhir+json"}, "Prefer": {"return=representation"}}}
	if logical != "" {
		r.method, r.url = http.MethodPut, r.url+"/"+logical
	}
	answer, err := x.send(r)
	if err != nil {
		return err
	}
	if answer.status != http.StatusOK && answer.status != http.StatusCreated {
		return differ("the server answered %d", answer.status)
	}
	if t, i, _, err := answer.identity(); err == nil { // under which id it is there
		x.fixtures[id] = &message{body: m.body, header: http.Header{"Location": {t + "/" + i}}, url: t + "/" + i}
		if logical == "" {
			tree["id"] = i
			if b, err := json.Marshal(tree); err == nil {
				x.fixtures[id].body = b
			}
		}
	}
	return nil
}

// cleanUp deletes what the script wants deleted.
func (x *run) cleanUp() PartResult {
	p := PartResult{Name: "clean-up", Verdict: Skip}
	for _, f := range x.script.Fixtures {
		m := x.fixtures[f.ID]
		if !f.Autodelete || m == nil {
			continue
		}
		label := "autodelete " + f.ID
		resourceType, id, _, err := m.identity()
		if err != nil {
			p.add(failed(label, err))
			continue
		}
		answer, err := x.send(&message{method: http.MethodDelete, url: strings.TrimSuffix(x.Base, "/") + "/" + resourceType + "/" + id, header: http.Header{}})
		switch {
		case err != nil:
			p.add(failed(label, err))
		case answer.status >= 400 && answer.status != http.StatusNotFound && answer.status != http.StatusGone:
			p.add(ActionResult{Label: label, Verdict: Warning, Detail: fmt.Sprintf("the server answered %d", answer.status)})
		default:
			p.add(ActionResult{Label: label, Verdict: Pass})
		}
	}
	return p
}
