package suite

import (
	"archive/tar"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// notPassing are the public scripts that do not pass here, and why.
var notPassing = map[string]string{
	"BulkDataV2NdjsonOutputFormatAccepted": "bulk export is not served",
	"testscript-example-search":            "it speaks XML, which is not served",
	"testscript-example-history":           "its second fixture has dates that R4 does not know (1978-3-1)",
}

// junit is what `fieldseal testscript --junit` writes.
type junit struct {
	Suites []struct {
		Name     string `xml:"name,attr"`
		Tests    int    `xml:"tests,attr"`
		Failures int    `xml:"failures,attr"`
		Errors   int    `xml:"errors,attr"`
		Cases    []struct {
			Name    string     `xml:"name,attr"`
			Failure *junitText `xml:"failure"`
			Error   *junitText `xml:"error"`
			Skipped *junitText `xml:"skipped"`
		} `xml:"testcase"`
	} `xml:"testsuite"`
}

type junitText struct {
	Message string `xml:"message,attr"`
}

// Public R4 TestScripts run against the server as anybody would run them.
func TestPublicTestScripts(t *testing.T) {
	t.Parallel()
	s := start(t)
	dir := t.TempDir()
	unpack(t, "../testscript/testdata/scripts.tar.gz", dir)
	seedForScripts(t, s, dir)
	out := filepath.Join(dir, "junit.xml")
	_, stdout, stderr := command(t, "testscript", "--base", s.Base, "--token", s.Tokens[integration], "--junit", out, dir)
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, stdout, stderr)
	}
	var all junit
	if err := xml.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	if len(all.Suites) < 25 {
		t.Fatalf("%d scripts ran:\n%s", len(all.Suites), stdout)
	}
	for _, suite := range all.Suites {
		reason, listed := notPassing[suite.Name]
		if passed := suite.Failures+suite.Errors == 0 && suite.Tests > 0; passed == listed {
			t.Errorf("%s: passed %v, but listed: %q", suite.Name, passed, reason)
		}
	}
	if t.Failed() {
		t.Log(stdout)
	}
}

func unpack(t *testing.T, archive, dir string) {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		if h.Typeflag == tar.TypeDir {
			continue
		}
		b, err := io.ReadAll(r)
		if err == nil {
			err = errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, b, 0o600))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// seedForScripts stores what the scripts expect to find: for each instance that
// one reads and for each search, a resource that is found.
func seedForScripts(t *testing.T, s *server, dir string) {
	t.Helper()
	seen := map[string]bool{}
	s.do(t, integration, "PUT", "/Patient/example", person("example")).want(201)
	err := filepath.WalkDir(filepath.Join(dir, "testscript-engine"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".json" {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var script object
		if err := json.Unmarshal(b, &script); err != nil {
			return err
		}
		for _, test := range each(script, "test") {
			for _, action := range each(test, "action") {
				op, _ := action["operation"].(object)
				typ, _ := op["resource"].(string)
				params, _ := op["params"].(string)
				key := typ + params
				if op == nil || typ == "" || typ == "Patient" || seen[key] {
					continue
				}
				seen[key] = true
				if strings.HasPrefix(params, "/${targetResource") && !seen[typ] {
					seen[typ] = true
					s.do(t, integration, "PUT", "/"+typ+"/example", seed(typ, "example", nil)).want(201)
				}
				if query, ok := strings.CutPrefix(params, "?"); ok {
					values, _ := url.ParseQuery(query)
					s.create(t, seed(typ, "", values))
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// seed is the smallest valid resource of a type that the search finds.
func seed(typ, id string, query url.Values) object {
	r := object{"resourceType": typ, "subject": object{"reference": "Patient/example"}}
	coded := func(param string) object {
		system, code, both := strings.Cut(query.Get(param), "|")
		if !both {
			system, code = "urn:suite", cmp.Or(system, "seed")
		}
		return object{"coding": []any{object{"system": system, "code": code}}}
	}
	switch typ {
	case "Observation":
		r["status"], r["code"] = "final", coded("code")
	case "DiagnosticReport":
		r["status"], r["code"] = "final", coded("code")
	case "Procedure":
		r["status"], r["code"] = "completed", coded("code")
	case "Condition":
		r["code"] = coded("code")
	case "BodyStructure":
		delete(r, "subject")
		r["patient"] = object{"reference": "Patient/example"}
		if query.Has("morphology") {
			r["morphology"] = coded("morphology")
		}
	}
	if query.Has("category") {
		r["category"] = []any{coded("category")}
		if typ == "Procedure" {
			r["category"] = coded("category")
		}
	}
	if id != "" {
		r["id"] = id
	}
	return r
}
