package field

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestFIPSOnly seals and opens in a process that refuses every algorithm that
// is not approved.
func TestFIPSOnly(t *testing.T) {
	t.Parallel()
	if os.Getenv("FIELD_FIPS_CHILD") != "" {
		t.Skip("already inside")
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run=^TestAllClassesRoundTripByteExact$/^4$")
	cmd.Env = append(os.Environ(), "GODEBUG=fips140=only", "FIELD_FIPS_CHILD=1")
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Count(string(out), "--- PASS") != 2 {
		t.Fatalf("%v\n%s", err, out)
	}
}
