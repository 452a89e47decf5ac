package main

import (
	"fmt"
	"strings"
)

// searchReport is what was measured on each size.
type searchReport struct {
	settings settings
	sets     []*measuredSet
}

func (r *searchReport) tables() string {
	var b strings.Builder
	m := r.sets[0].machine
	fmt.Fprintf(&b, "Machine: %s, %d cores, memory %s, Linux %s, %s. Load: keep-alive connections from a process of its own on the same cores, median of %d rounds of %v.\n\n",
		m.cpu, m.cores, mib(m.memory), m.kernel, m.golang, r.settings.rounds, r.settings.duration)
	r.importTable(&b)
	for _, s := range r.sets {
		s.searchTable(&b)
	}
	r.ratioTable(&b)
	r.restTable(&b)
	return b.String()
}

// importTable has a column for each size.
func (r *searchReport) importTable(b *strings.Builder) {
	b.WriteString("| stored | goal |")
	for _, s := range r.sets {
		fmt.Fprintf(b, " %s resources |", thousands(float64(s.Resources)))
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(r.sets)) + "\n")
	row := func(name, goal string, value func(*measuredSet) string) {
		fmt.Fprintf(b, "| %s | %s |", name, goal)
		for _, s := range r.sets {
			fmt.Fprintf(b, " %s |", value(s))
		}
		b.WriteString("\n")
	}
	number := func(f func(*measuredSet) float64) func(*measuredSet) string {
		return func(s *measuredSet) string { return thousands(f(s)) }
	}
	each := func(f func(*sizes) int64) func(*measuredSet) string {
		return number(func(s *measuredSet) float64 {
			return float64(f(s.Fill.Sizes)) / float64(max(s.Fill.Sizes.Store.Current.Count, 1))
		})
	}
	row("import, resources/s", "≥ 2,000", number(func(s *measuredSet) float64 { return s.Fill.rate() }))
	row("… first fifth / last fifth", "", func(s *measuredSet) string {
		first, last := s.Fill.fifths()
		return thousands(first) + " / " + thousands(last)
	})
	row("… slower at the end by", "≤ 20 %", func(s *measuredSet) string { return percent(s.Fill.slowdown()) })
	row("… server CPU per resource, first fifth / last fifth", "", func(s *measuredSet) string {
		first, last := s.Fill.cpu()
		if last == 0 {
			return "–"
		}
		return fmt.Sprintf("%.0f µs / %.0f µs", first/1e3, last/1e3)
	})
	row("memory (RSS), highest during the import", "", func(s *measuredSet) string { return mib(s.Fill.RSS) })
	row("load average before / fsync p50 before", "", func(s *measuredSet) string { return s.Fill.Busy + " / " + ms(s.Fill.Sync) })
	row("current version and index, bytes per resource", "≤ 2,500", each(func(z *sizes) int64 { return z.Store.Current.Bytes + z.Store.Index.Bytes }))
	row("… of it the sealed version", "", each(func(z *sizes) int64 { return z.Store.Current.Bytes }))
	row("… of it the index", "", each(func(z *sizes) int64 { return z.Store.Index.Bytes }))
	row("…… of it postings / tokens of each resource", "", func(s *measuredSet) string {
		z, n := s.Fill.Sizes.Store, float64(max(s.Fill.Sizes.Store.Current.Count, 1))
		if z.Postings.Count == 0 {
			return "–" // filled by an earlier version
		}
		return thousands(float64(z.Postings.Bytes)/n) + " / " + thousands(float64(z.Forward.Bytes)/n)
	})
	row("index entries per resource", "", func(s *measuredSet) string {
		return fmt.Sprintf("%.1f", float64(s.Fill.Sizes.Store.Index.Count)/float64(max(s.Fill.Sizes.Store.Current.Count, 1)))
	})
	row("change feed, bytes per resource", "", each(func(z *sizes) int64 { return z.Store.Feed.Bytes }))
	row("trail folder, bytes per resource", "", each(func(z *sizes) int64 { return z.TrailBytes }))
	row("keystore folder, in all", "", func(s *measuredSet) string { return thousands(float64(s.Fill.Sizes.KeystoreBytes)/(1<<10)) + " KiB" })
	row("compaction after the import", "", func(s *measuredSet) string { return ms(s.Fill.Compact) })
	row("start to ready on the filled folder", "", func(s *measuredSet) string { return ms(s.ready) })
	row("memory (RSS), highest during the searches", "", func(s *measuredSet) string { return mib(s.rss) })
	b.WriteString("\n")
}

// searchTable has a row for each kind of search.
func (s *measuredSet) searchTable(b *strings.Builder) {
	fmt.Fprintf(b, "Searches over %s resources; load average %s before the start. Per request: matches, index entries read, resources rechecked, and the part of these that did not match.\n\n",
		thousands(float64(s.Resources)), s.machine.busy)
	b.WriteString("| search | matches | entries | rechecked | waste |")
	for _, n := range searchClients {
		fmt.Fprintf(b, " p50, %d | p99, %d |", n, n)
	}
	fmt.Fprintf(b, " req/s, %d | server CPU | errors | fsync p50 | goal |\n|---|---|---|---|---|%s---|---|---|---|---|\n", searchClients[len(searchClients)-1], strings.Repeat("---|---|", len(searchClients)))
	for _, q := range s.searches {
		fmt.Fprintf(b, "| %s | %s |", q.name, q.cost)
		for _, l := range q.loads {
			fmt.Fprintf(b, " %s | %s |", ms(l.p50), ms(l.p99))
		}
		first, last := q.loads[0], q.loads[len(q.loads)-1]
		fmt.Fprintf(b, " %s | %.0f µs | %s | %s | %s |\n", thousands(last.rate), float64(last.cpuPerCall)/1e3, errorText(last.errors), ms(first.syncBefore), q.goal)
	}
	b.WriteString("\n")
}

// String is four cells of the table.
func (c cost) String() string {
	if c.refused != "" || c.requests == 0 {
		return "– | – | – | –"
	}
	n := float64(c.requests)
	if c.candidates == 0 && c.exact {
		return fmt.Sprintf("%.1f | %.0f | counted in the index | –", float64(c.matches)/n, float64(c.entries)/n)
	}
	return fmt.Sprintf("%.1f | %.0f | %.1f | %s", float64(c.matches)/n, float64(c.entries)/n, float64(c.candidates)/n, percent(c.waste()))
}

func (g searchGoal) String() string {
	var parts []string
	if g.p50 > 0 {
		parts = append(parts, "p50 ≤ "+ms(g.p50)+" at 1")
	}
	if g.rate > 0 {
		parts = append(parts, "≥ "+thousands(g.rate)+"/s")
	}
	if g.waste > 0 {
		parts = append(parts, "waste ≤ "+percent(g.waste))
	}
	if len(parts) == 0 {
		return "–"
	}
	return strings.Join(parts, ", ")
}

// ratioTable compares the smallest set with each larger one.
func (r *searchReport) ratioTable(b *strings.Builder) {
	if len(r.sets) < 2 {
		return
	}
	small := r.sets[0]
	fmt.Fprintf(b, "| p50 with one client, against %s resources (matches) |", thousands(float64(small.Resources)))
	for _, s := range r.sets[1:] {
		fmt.Fprintf(b, " %s |", thousands(float64(s.Resources)))
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(r.sets)-1) + "\n")
	for _, q := range small.searches {
		fmt.Fprintf(b, "| %s (%s) |", q.name, q.cost.found())
		for _, s := range r.sets[1:] {
			other := s.find(q.name)
			if other == nil {
				b.WriteString(" – |")
				continue
			}
			fmt.Fprintf(b, " %.2f (%s) |", float64(other.loads[0].p50)/float64(max(q.loads[0].p50, 1)), other.cost.found())
		}
		b.WriteString("\n")
	}
	b.WriteString("\nThe goal for the same number of matches is ≤ 1.5.\n\n")
}

func (c cost) found() string {
	if c.requests == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f", float64(c.matches)/float64(c.requests))
}

// profiles is where the time of each search goes.
func (r *searchReport) profiles() string {
	all := &report{}
	for _, s := range r.sets {
		for _, q := range s.searches {
			all.results = append(all.results, q.loads...)
		}
	}
	return all.profileTable()
}

func percent(v float64) string { return fmt.Sprintf("%.0f %%", 100*v) }
