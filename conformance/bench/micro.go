package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// micro is one Go benchmark and its goal.
type micro struct {
	pkg, name, what, goal string
	throughput            bool // the goal is in MB/s
	line                  benchLine
}

type benchLine struct{ nanoseconds, megabytes, allocations float64 }

// microGoals are the goals of the design for single operations.
var microGoals = []micro{
	{pkg: "./crypto/field", name: "Seal", what: "seal a 3 kB Patient, all classes", goal: "≤ 15 µs with its tokens, ≤ 2 allocations per class"},
	{pkg: "./crypto/blind", name: "Token", what: "one blind token", goal: "40 tokens within the above"},
	{pkg: "./crypto/field", name: "OpenAll", what: "open it, group 0 and all classes, warm keys", goal: "≤ 6 µs"},
	{pkg: "./crypto/field", name: "OpenAllAfterHead", what: "… group 0 being open already, as on a read", goal: "–"},
	{pkg: "./crypto/field", name: "OpenOneClass", what: "open group 0 and one class", goal: "≤ 1.5 µs"},
	{pkg: "./crypto/field", name: "OpenClassAfterHead", what: "… group 0 being open already", goal: "–"},
	{pkg: "./fhir", name: "ParseSyntheaCompact", what: "parse Synthea resources", goal: "≥ 200 MB/s", throughput: true},
	{pkg: "./conformance/validation", name: "Validate", what: "validate a Synthea resource", goal: "≤ 60 µs"},
	{pkg: "./fhir/search", name: "ExtractAll", what: "extract all search values of a Synthea resource", goal: "≤ 120 µs"},
	{pkg: "./authz/policy", name: "Scale$/^rules=100000$/^first", what: "first decision of its kind under 100,000 rules", goal: "≤ 10 µs"},
	{pkg: "./authz/policy", name: "Scale$/^rules=100000$/^later", what: "… and later ones", goal: "≤ 50 ns"},
	{pkg: "./authz/consent", name: "Decide", what: "ask five Consents that nest three deep", goal: "≤ 20 µs"},
	{pkg: "./fhir/interaction", name: "Page$/^doctor", what: "judge 100 resources by relationship, consent and labels", goal: "≤ 300 µs"},
}

// microBenchmarks runs them, three times each, and takes the medians.
func microBenchmarks(ctx context.Context) ([]micro, error) {
	out := append([]micro{}, microGoals...)
	for i := range out {
		m := &out[i]
		cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^Benchmark"+m.name+"$", "-benchmem", "-count", "3", "-benchtime", "500ms", m.pkg)
		cmd.Stderr = os.Stderr
		b, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", m.pkg, m.name, err)
		}
		if m.line, err = parseBench(string(b)); err != nil {
			return nil, fmt.Errorf("%s %s: %w", m.pkg, m.name, err)
		}
	}
	return out, nil
}

var benchValue = regexp.MustCompile(`([0-9.e+]+) (ns/op|MB/s|allocs/op)`)

// parseBench reads the lines of go test -bench of one benchmark; the slowest
// sub-benchmark stands for it.
func parseBench(text string) (benchLine, error) {
	byName := map[string][][]string{}
	for line := range strings.Lines(text) {
		if name, rest, ok := strings.Cut(line, " "); ok && strings.HasPrefix(name, "Benchmark") {
			byName[name] = append(byName[name], []string{rest})
		}
	}
	var worst benchLine
	for _, runs := range byName {
		values := map[string][]float64{}
		for _, run := range runs {
			for _, m := range benchValue.FindAllStringSubmatch(run[0], -1) {
				v, err := strconv.ParseFloat(m[1], 64)
				if err != nil {
					return worst, err
				}
				values[m[2]] = append(values[m[2]], v)
			}
		}
		if ns := median(values["ns/op"]); ns > worst.nanoseconds {
			worst = benchLine{ns, median(values["MB/s"]), median(values["allocs/op"])}
		}
	}
	if worst.nanoseconds == 0 {
		return worst, fmt.Errorf("no figure in %d bytes of output", len(text))
	}
	return worst, nil
}

func (r *report) microTable(b *strings.Builder) {
	if len(r.micro) == 0 {
		return
	}
	b.WriteString("| operation, one core | measured | allocations | goal |\n|---|---|---|---|\n")
	for _, m := range r.micro {
		figure := fmt.Sprintf("%.3g µs", m.line.nanoseconds/1e3)
		if m.throughput {
			figure = fmt.Sprintf("%.0f MB/s", m.line.megabytes)
		}
		fmt.Fprintf(b, "| %s | %s | %.0f | %s |\n", m.what, figure, m.line.allocations, m.goal)
	}
	b.WriteString("\n")
}
