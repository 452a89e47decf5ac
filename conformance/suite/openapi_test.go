package suite

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// The OpenAPI document names for each path the methods that the server allows
// there, and the parameters that the CapabilityStatement names.
func TestOpenAPIDocumentIsWhatIsServed(t *testing.T) {
	t.Parallel()
	s := shared(t)
	doc := s.do(t, nobody, "GET", "/openapi.json", nil, "Accept", "text/html").want(200)
	if ct := doc.header.Get("Content-Type"); ct != "application/json" || doc.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("Content-Type %q, %v", ct, doc.header)
	}
	res, err := s.client.Get(s.origin() + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Errorf("at the root: %d", res.StatusCode)
	}
	o := doc.json()
	if o["openapi"] != "3.1.0" || at(o, "servers", 0, "url") != s.Base {
		t.Errorf("%v %v", o["openapi"], o["servers"])
	}
	paths, _ := o["paths"].(object)
	if len(paths) < 300 {
		t.Fatalf("%d paths", len(paths))
	}
	fill := strings.NewReplacer("{type}", "Patient", "{id}", "none", "{version}", "1", "{member}", "Observation")
	for path, item := range paths {
		if strings.HasPrefix(path, "/AuditEvent") {
			continue // shares its routes with other types and serves fewer
		}
		if beside, _ := at(item, "servers", 0, "url").(string); beside != "" {
			s.servesBeside(t, beside+path, item.(object))
			continue
		}
		allow := strings.Split(s.do(t, nobody, "OPTIONS", strings.TrimSuffix(fill.Replace(path), "/"), nil).want(204).header.Get("Allow"), ", ")
		var told []string
		for method := range item.(object) {
			told = append(told, strings.ToUpper(method))
		}
		told = append(told, "OPTIONS")
		slices.Sort(told)
		slices.Sort(allow)
		if strings.Contains(path, "/_") || strings.Contains(path, "/$") { // for the router also an instance's path
			allow = slices.DeleteFunc(allow, func(m string) bool { return !slices.Contains(told, m) })
		}
		if !slices.Equal(told, allow) {
			t.Errorf("%s: told %v, served %v", path, told, allow)
		}
	}
	checkSearchParameters(t, s, o, paths)
}

// servesBeside looks at a path of another base, which takes the methods that it
// names and no other.
func (s *server) servesBeside(t *testing.T, address string, item object) {
	t.Helper()
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		r, err := http.NewRequestWithContext(t.Context(), method, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := s.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		_, told := item[strings.ToLower(method)]
		if served := res.StatusCode != http.StatusMethodNotAllowed && res.StatusCode != http.StatusNotFound; served != told || served && res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s %s without a token: %d", method, address, res.StatusCode)
		}
	}
}

func checkSearchParameters(t *testing.T, s *server, doc, paths object) {
	t.Helper()
	defined, _ := at(doc, "components", "parameters").(object)
	meta := s.do(t, nobody, "GET", "/metadata", nil).want(200).json()
	for _, r := range each(object{"r": at(meta, "rest", 0, "resource")}, "r") {
		typ := r["type"].(string)
		told := map[string]bool{}
		for _, p := range each(at(paths, "/"+typ, "get").(object), "parameters") {
			told[strings.TrimPrefix(p["$ref"].(string), "#/components/parameters/")] = true
		}
		for _, p := range each(r, "searchParam") {
			name, kind := typ+"."+p["name"].(string), p["type"].(string)
			schema, _ := at(defined, name, "schema", "$ref").(string)
			if !told[name] || schema != "#/components/schemas/search-"+kind {
				t.Errorf("%s of type %s: told %v as %q", name, kind, told[name], schema)
			}
		}
	}
}
