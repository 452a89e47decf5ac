package house

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	openedTable = regexp.MustCompile(`(?i)(store|keystore|\bs)\.(Table|Log)\((?:ctx, )?("[a-z-]+"|[a-zA-Z]+)\)`)
	namedTable  = regexp.MustCompile(`(?m)^\s*(?:const )?([a-zA-Z]+)\s*=\s*"([a-z-]+)"`)
)

// TestRolesKnowTableNames: a table that the wiring opens and the script does not
// name is one that a node on MongoDB may not use.
func TestRolesKnowTableNames(t *testing.T) {
	t.Parallel()
	script, err := os.ReadFile("../../deploy/mongodb/roles.js")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../app/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal("no file of internal/app", err)
	}
	constants, opened := map[string]string{}, map[string]string{}
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range namedTable.FindAllStringSubmatch(string(b), -1) {
			constants[m[1]] = m[2]
		}
		for _, m := range openedTable.FindAllStringSubmatch(string(b), -1) {
			opened[m[3]] = m[2]
		}
	}
	if len(opened) < 6 {
		t.Fatalf("only %d tables were found", len(opened))
	}
	for name, how := range opened {
		plain := strings.Trim(name, `"`)
		if plain == name {
			if plain = constants[name]; plain == "" {
				t.Errorf("%s(%s): the name is no constant of internal/app", how, name)
				continue
			}
		}
		if how == "Table" {
			plain = "table." + plain
		}
		if !strings.Contains(string(script), `"`+plain+`": [`) {
			t.Errorf("deploy/mongodb/roles.js gives no role a privilege on %q", plain)
		}
	}
}
