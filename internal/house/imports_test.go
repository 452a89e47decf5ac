package house

import (
	"bytes"
	"encoding/json"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/fieldseal/fieldseal"

// pkg is what `go list -json` says of one package.
type pkg struct {
	ImportPath, Dir, Name              string
	Imports, TestImports, XTestImports []string
	GoFiles, CgoFiles                  []string
	TestGoFiles, XTestGoFiles          []string
}

// short is the import path below the module; the module itself is ".".
func short(path string) string {
	if path == module {
		return "."
	}
	return strings.TrimPrefix(path, module+"/")
}

func ours(path string) bool { return path == module || strings.HasPrefix(path, module+"/") }

// root is the module's folder.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func golist(t *testing.T, args ...string) []pkg {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-json=ImportPath,Dir,Name,Imports,TestImports,XTestImports,GoFiles,CgoFiles,TestGoFiles,XTestGoFiles"}, args...)...)
	cmd.Dir = root(t)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	var all []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

var (
	once     sync.Once
	packages []pkg
)

func all(t *testing.T) []pkg {
	t.Helper()
	once.Do(func() { packages = golist(t, "./...") })
	if len(packages) == 0 {
		t.Fatal("go list found no package")
	}
	return packages
}

func isProgram(path string) bool {
	return slices.ContainsFunc(programs, func(p string) bool {
		return path == p || strings.HasPrefix(p, "/") && strings.HasSuffix(path, p)
	})
}

func isTestPackage(path string) bool {
	return slices.ContainsFunc(testPackages, func(p string) bool { return path == p || strings.HasSuffix(path, "/"+p) })
}

func TestPackagesImportLowerFloorsOnly(t *testing.T) {
	t.Parallel()
	for _, p := range all(t) {
		name := short(p.ImportPath)
		if allowed, ok := alone[name]; ok {
			for _, imp := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
				if in := slices.Contains(p.Imports, imp); ours(imp) && imp != p.ImportPath && (in || name == "conformance/suite") && !slices.Contains(allowed, short(imp)) {
					t.Errorf("%s imports %s; it stands alone", name, short(imp))
				}
			}
		}
		if isProgram(name) {
			if p.Name != "main" {
				t.Errorf("%s is listed as a program and is not package main", name)
			}
			continue
		}
		floor, known := floors[name]
		_, lonely := alone[name]
		if !known && !lonely {
			t.Errorf("%s stands on no floor: add it to the table with a decision record", name)
			continue
		}
		for _, imp := range p.Imports {
			if !ours(imp) {
				continue
			}
			if below, ok := floors[short(imp)]; known && (!ok || below >= floor) {
				t.Errorf("%s (floor %d) imports %s (floor %d)", name, floor, short(imp), below)
			}
		}
	}
}

// An entry of the table that no package has any more is a gap for the next
// package of that name.
func TestTableNamesExistingPackages(t *testing.T) {
	t.Parallel()
	have := map[string]bool{}
	for _, p := range all(t) {
		have[short(p.ImportPath)] = true
	}
	for name := range floors {
		if !have[name] {
			t.Errorf("the table names %s, which does not exist", name)
		}
	}
	for name := range alone {
		if !have[name] {
			t.Errorf("the table names %s, which does not exist", name)
		}
	}
}

func TestThirdPartyModulesStayBehindTheirWalls(t *testing.T) {
	t.Parallel()
	for _, p := range all(t) {
		name := short(p.ImportPath)
		if isTestPackage(name) || isProgram(name) {
			continue
		}
		for _, imp := range p.Imports {
			for wall, inside := range walls {
				behind := imp == wall || strings.HasPrefix(imp, strings.TrimSuffix(wall, "/")+"/")
				if behind && !slices.Contains(inside, name) {
					t.Errorf("%s imports %s, which belongs to %v", name, imp, inside)
				}
			}
			if strings.HasPrefix(imp, "go.opentelemetry.io/") && floors[name] < apiOnlyFrom {
				t.Errorf("%s (floor 0) knows telemetry", name)
			}
		}
	}
}

// TestProductCarriesNoTestPackage proves that the null cipher, the fake KMS
// and test data are not in the binary (decision 12).
func TestProductCarriesNoTestPackage(t *testing.T) {
	t.Parallel()
	seen := false
	for _, p := range golist(t, "-deps", "./cmd/fieldseal") {
		name := short(p.ImportPath)
		seen = seen || name == "crypto/field"
		if ours(p.ImportPath) && isTestPackage(name) {
			t.Errorf("the product contains %s", p.ImportPath)
		}
		if ours(p.ImportPath) && slices.Contains(p.Imports, "testing") { // a module below fosite imports it too (ADR 0091)
			t.Errorf("%s imports testing", p.ImportPath)
		}
	}
	if !seen {
		t.Error("the product does not contain crypto/field: this test looks at the wrong thing")
	}
}

func TestTestPackagesAreImportedByTestsOnly(t *testing.T) {
	t.Parallel()
	for _, p := range all(t) {
		if isTestPackage(short(p.ImportPath)) {
			continue
		}
		for _, imp := range p.Imports {
			if ours(imp) && isTestPackage(short(imp)) {
				t.Errorf("%s imports %s outside of tests", short(p.ImportPath), short(imp))
			}
		}
	}
}
