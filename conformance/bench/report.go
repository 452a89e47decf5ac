package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// report is everything that was measured.
type report struct {
	machine       machine
	settings      settings
	ready         time.Duration
	idleRSS       int64
	binaryBytes   int64
	bundleEntries float64
	results       []result
	afterBundles  *sizes
	afterUpdates  *sizes
	micro         []micro
}

func (r *report) tables() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Machine: %s, %d cores, memory %s, Linux %s, %s, load average %s before the start. Load: %d keep-alive connections from a process of its own on the same cores, median of %d rounds of %v.\n\n",
		r.machine.cpu, r.machine.cores, mib(r.machine.memory), r.machine.kernel, r.machine.golang, r.machine.busy, r.settings.conns, r.settings.rounds, r.settings.duration)
	r.loadTable(&b)
	r.sizeTable(&b)
	r.processTable(&b)
	r.microTable(&b)
	return b.String()
}

func (r *report) loadTable(b *strings.Builder) {
	b.WriteString("| load | measured | goal | p50 | p99 | goal p99 | server CPU per request | errors | fsync p50 before / after |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, l := range r.results {
		goal, goalP99 := "–", "–"
		if l.Goal > 0 {
			goal = "≥ " + thousands(l.Goal)
		}
		if l.GoalP99 > 0 {
			goalP99 = "≤ " + ms(l.GoalP99)
		}
		name := l.Name
		if l.PerCall > 1 && !strings.HasSuffix(name, "POST") {
			name = fmt.Sprintf("%s of %.0f resources on average", name, l.PerCall)
		}
		fmt.Fprintf(b, "| %s | %s %s | %s | %s | %s | %s | %.0f µs | %s | %s / %s |\n", name, thousands(l.rate), l.Unit, goal,
			ms(l.p50), ms(l.p99), goalP99, float64(l.cpuPerCall)/1e3, errorText(l.errors), ms(l.syncBefore), ms(l.syncAfter))
	}
	b.WriteString("\n")
}

func errorText(errs map[int]int) string {
	if len(errs) == 0 {
		return "none"
	}
	var out []string
	for status, n := range errs {
		name := fmt.Sprint(status)
		if status == 0 {
			name = "no answer"
		}
		out = append(out, fmt.Sprintf("%s: %d", name, n))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func (r *report) sizeTable(b *strings.Builder) {
	s, u := r.afterBundles, r.afterUpdates
	if s == nil {
		return
	}
	n := float64(max(s.Store.Current.Count, 1))
	fmt.Fprintf(b, "Sizes after %s Synthea resources were stored, compacted:\n\n| stored | bytes |\n|---|---|\n", thousands(n))
	fmt.Fprintf(b, "| current version and index, per resource | %s |\n", thousands(float64(s.Store.Current.Bytes+s.Store.Index.Bytes)/n))
	fmt.Fprintf(b, "| … of it the sealed version | %s |\n| … of it the index (%.1f tokens) | %s |\n",
		thousands(s.Store.Current.each()), float64(s.Store.Index.Count)/n, thousands(float64(s.Store.Index.Bytes)/n))
	fmt.Fprintf(b, "| change feed, per version | %s |\n", thousands(s.Store.Feed.each()))
	if u != nil {
		fmt.Fprintf(b, "| history, per earlier version (Observation) | %s |\n", thousands(u.Store.History.each()))
	}
	fmt.Fprintf(b, "| keystore folder, in all | %s |\n| trail folder, per event | %s |\n\n",
		thousands(float64(s.KeystoreBytes)), thousands(float64(s.TrailBytes)/float64(max(s.Trail.Events, 1))))
}

func (r *report) processTable(b *strings.Builder) {
	var peak int64
	for _, l := range r.results {
		peak = max(peak, l.rss)
	}
	b.WriteString("| process | measured | goal |\n|---|---|---|\n")
	fmt.Fprintf(b, "| start to ready, data folder with the demo patients | %s | ≤ 300 ms for the definitions |\n", ms(r.ready))
	fmt.Fprintf(b, "| memory (RSS), idle | %s | ≤ 200 MiB |\n| memory (RSS), highest under load | %s | – |\n", mib(r.idleRSS), mib(peak))
	fmt.Fprintf(b, "| binary, stripped | %s | ≤ 80 MiB |\n\n", mib(r.binaryBytes))
}

func (r *report) profileTable() string {
	var b strings.Builder
	b.WriteString("| share of the server's CPU, % |")
	for _, l := range r.results {
		b.WriteString(" " + l.Name + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(r.results)) + "\n")
	for _, part := range parts {
		b.WriteString("| " + part + " |")
		for _, l := range r.results {
			fmt.Fprintf(&b, " %.1f |", l.shares.part[part])
		}
		b.WriteString("\n")
	}
	for _, l := range r.results {
		fmt.Fprintf(&b, "\n%s, %s %s, functions by their own time:\n", l.Name, thousands(l.rate), l.Unit)
		for _, f := range l.shares.top {
			b.WriteString("  " + f + "\n")
		}
	}
	return b.String()
}

// writeBetween fills the document between the marks of a name.
func writeBetween(path, name, text string) error {
	doc, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	markBegin, markEnd := []byte("<!-- "+name+": begin -->\n"), []byte("<!-- "+name+": end -->\n")
	begin, end := bytes.Index(doc, markBegin), bytes.Index(doc, markEnd)
	if begin < 0 || end < begin {
		return fmt.Errorf("%s has no place for the tables of %s", path, name)
	}
	out := append([]byte{}, doc[:begin+len(markBegin)]...)
	out = append(append(out, "\n"+text...), doc[end:]...)
	return os.WriteFile(path, out, 0o644)
}

// ms renders three digits of milliseconds.
func ms(d time.Duration) string {
	v := float64(d) / float64(time.Millisecond)
	if v >= 100 {
		return thousands(v) + " ms"
	}
	return fmt.Sprintf("%.3g ms", v)
}

// thousands rounds to a whole number with separators.
func thousands(v float64) string {
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
