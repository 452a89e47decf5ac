package house

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// pages are the documents by path below the module.
func pages(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	walk(t, ".md", func(name, text string) { out[name] = text })
	if len(out) < 10 {
		t.Fatalf("only %d pages found", len(out))
	}
	return out
}

// walk visits the module's files with the extension, but for hidden folders.
func walk(t *testing.T, ext string, visit func(name, text string)) {
	t.Helper()
	top := root(t)
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != top && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules"):
			return fs.SkipDir
		case d.IsDir() || filepath.Ext(path) != ext:
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(top, path)
		visit(filepath.ToSlash(name), string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

var (
	quotedTest = regexp.MustCompile("`((?:Test|Fuzz)[A-Z][A-Za-z0-9]*)`")
	testFunc   = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Z][A-Za-z0-9]*)\(`)
	link       = regexp.MustCompile(`\]\(([^)\s]+)\)`)
)

// A page that names a test as proof must name one that exists.
func TestDocumentsNameExistingTests(t *testing.T) {
	t.Parallel()
	have := map[string]bool{}
	walk(t, ".go", func(name, text string) {
		if strings.HasSuffix(name, "_test.go") || strings.Contains(name, "repositorytest/") {
			for _, m := range testFunc.FindAllStringSubmatch(text, -1) {
				have[m[1]] = true
			}
		}
	})
	for name, text := range pages(t) {
		for _, m := range quotedTest.FindAllStringSubmatch(text, -1) {
			if !have[m[1]] {
				t.Errorf("%s names %s, which is no test", name, m[1])
			}
		}
	}
}

// Links between pages and to files of the module must not be broken.
func TestDocumentLinksResolve(t *testing.T) {
	t.Parallel()
	for name, text := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target, _, _ := strings.Cut(m[1], "#")
			if target == "" || strings.Contains(target, "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(root(t), filepath.Dir(name), target)); err != nil {
				t.Errorf("%s links to %s, which does not exist", name, m[1])
			}
		}
	}
}

// Every requirement on the authorization server has a line with a test
// (access.md, SMART 1 to 13 and MFA).
func TestEveryRequirementOfSMARTNamesItsTest(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root(t), "docs/smart.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "\n## Requirements and their tests\n")
	if !found {
		t.Fatal("docs/smart.md has no table of requirements")
	}
	named := map[string]int{}
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if !strings.HasPrefix(line, "| ") || len(cells) != 3 || strings.TrimSpace(cells[0]) == "" {
			continue
		}
		if len(quotedTest.FindAllString(cells[2], -1)) != 1 {
			t.Errorf("no single test: %s", line)
		}
		named[strings.TrimSpace(cells[0])]++
	}
	for _, item := range strings.Fields("1 2 3 4 5 6 7 8 9 10 11 12 13 MFA") {
		if named[item] == 0 {
			t.Errorf("requirement %s has no test", item)
		}
	}
}
