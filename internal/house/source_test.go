package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// file is one parsed source file of the product.
type file struct {
	name string // path below the module
	pkg  string // package path below the module
	ast  *ast.File
	fset *token.FileSet
}

// product parses the files that are not tests.
func product(t *testing.T) []file {
	t.Helper()
	var files []file
	for _, p := range all(t) {
		name := short(p.ImportPath)
		if isTestPackage(name) {
			continue
		}
		for _, f := range slices.Concat(p.GoFiles, p.CgoFiles) {
			files = append(files, parseFile(t, filepath.Join(p.Dir, f), name))
		}
	}
	return files
}

func parseFile(t *testing.T, path, pkg string) file {
	t.Helper()
	fset := token.NewFileSet()
	tree, err := parser.ParseFile(fset, path, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return file{pkg + "/" + filepath.Base(path), pkg, tree, fset}
}

func (f file) line(n ast.Node) string {
	return f.name + ":" + strconv.Itoa(f.fset.Position(n.Pos()).Line)
}

// localName is the name under which the file imports the path, "" when it does
// not.
func (f file) localName(path string) string {
	for _, imp := range f.ast.Imports {
		if p, err := strconv.Unquote(imp.Path.Value); err != nil || p != path {
			continue
		}
		if imp.Name != nil {
			return imp.Name.Name
		}
		return path[strings.LastIndexByte(path, '/')+1:]
	}
	return ""
}

func TestTrustedConstructorsHaveOneCaller(t *testing.T) {
	t.Parallel()
	found := map[string]int{}
	for _, f := range product(t) {
		for _, c := range callers {
			local := f.localName(module + "/" + c.pkg)
			if local == "." {
				t.Errorf("%s imports %s with a dot", f.name, c.pkg)
			}
			ast.Inspect(f.ast, func(n ast.Node) bool {
				sel, ok := n.(*ast.SelectorExpr)
				if !ok || sel.Sel.Name != c.name || local == "" {
					return true
				}
				if x, ok := sel.X.(*ast.Ident); !ok || x.Name != local {
					return true
				}
				found[c.name]++
				if !slices.Contains(c.only, f.pkg) && !slices.Contains(c.only, f.name) {
					t.Errorf("%s uses %s.%s: %s", f.line(n), c.pkg, c.name, c.why)
				}
				return true
			})
			if f.pkg == c.pkg && usesInside(f, c.name) {
				t.Errorf("%s calls its own %s: %s", f.name, c.name, c.why)
			}
		}
	}
	for _, c := range callers {
		if found[c.name] == 0 {
			t.Errorf("nobody uses %s.%s: this test looks at the wrong thing", c.pkg, c.name)
		}
	}
}

// usesInside reports whether the declaring package calls the constructor.
func usesInside(f file, name string) bool {
	used := false
	ast.Inspect(f.ast, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			id, ok := call.Fun.(*ast.Ident)
			used = used || ok && id.Name == name
		}
		return true
	})
	return used
}

func TestForbiddenNames(t *testing.T) {
	t.Parallel()
	for _, f := range product(t) {
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok && forbidden[id.Name] != "" {
				t.Errorf("%s: %s: %s", f.line(n), id.Name, forbidden[id.Name])
			}
			return true
		})
	}
}

// Every package says what it is (house style), once.
func TestEveryPackageHasAComment(t *testing.T) {
	t.Parallel()
	docs := map[string]int{}
	for _, f := range product(t) {
		docs[f.pkg] += 0
		if f.ast.Doc != nil && len(f.ast.Doc.Text()) > 40 {
			docs[f.pkg]++
		}
	}
	for pkg, n := range docs {
		if n != 1 {
			t.Errorf("%s has %d package comments", pkg, n)
		}
	}
}

// unfinished are words that mark work left behind. They are put together here
// so that this file does not contain them.
var unfinished = regexp.MustCompile(`\b(` + strings.Join([]string{"TO" + "DO", "FIX" + "ME", "X" + "XX"}, "|") + `)\b`)

// place is a path of one machine, which has no business in the source.
var place = regexp.MustCompile(`"/(home|root|work|Users)/[a-z]`)

func TestNoSourceFileIsUnfinished(t *testing.T) {
	t.Parallel()
	for _, p := range all(t) {
		for _, f := range slices.Concat(p.GoFiles, p.CgoFiles, p.TestGoFiles, p.XTestGoFiles) {
			b, err := os.ReadFile(filepath.Join(p.Dir, f)) // #nosec G304 -- the files that go list names
			if err != nil {
				t.Fatal(err)
			}
			for i, line := range strings.Split(string(b), "\n") {
				if unfinished.MatchString(line) || place.MatchString(line) {
					t.Errorf("%s/%s:%d: %s", short(p.ImportPath), f, i+1, strings.TrimSpace(line))
				}
			}
		}
	}
}

// A #nosec without a rule and a reason switches the scanner off.
func TestNosecNamesRuleAndReason(t *testing.T) {
	t.Parallel()
	justified := regexp.MustCompile(`#nosec G[0-9]{3}( G[0-9]{3})* -- \S+ \S+`)
	for _, f := range product(t) {
		for _, group := range f.ast.Comments {
			for _, c := range group.List {
				if strings.Contains(c.Text, "#nosec") && !justified.MatchString(c.Text) {
					t.Errorf("%s: want `#nosec Gnnn -- reason`", f.line(c))
				}
			}
		}
	}
}

func TestLicenseIsApache2(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(filepath.Join(root(t), "LICENSE"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Apache License", "Version 2.0, January 2004", "9. Accepting Warranty", "END OF TERMS AND CONDITIONS"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("LICENSE lacks %q", want)
		}
	}
}
