package main

import (
	"fmt"
	"strings"
	"time"
)

// mongoTable has the commands of each interaction, then what they cost.
func mongoTable(s settings, m machine, version string, rows []mongoRow) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Machine: %s, %d cores, Linux %s, %s, load average %s before the loads and %s at the end. Database: %s, on the same machine. Rounds of %[9]v: %[8]d.\n\n",
		m.cpu, m.cores, m.kernel, m.golang, m.busy, thisMachine().busy, version, s.rounds, s.duration)
	b.WriteString("| interaction | commands asked | commands sent, caches warm |\n|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", r.Name, r.asked, r.one.sent)
	}
	fmt.Fprintf(&b, "\nThe first figure of each pair is with 1 client, the second with %d.\n\n", mongoClients)
	b.WriteString("| interaction | server CPU | driver CPU, bare | p50 | bare commands, p50 | /s | bare, /s | embedded: CPU, p50 | ratio to it: CPU, p50 | errors |\n|---|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range rows {
		b.WriteString(r.String())
	}
	b.WriteString("\n")
	return b.String()
}

// String is the row of what an interaction costs.
func (r *mongoRow) String() string {
	both := func(one, many string) string {
		if r.many.calls == 0 {
			many = "–"
		}
		return one + " / " + many
	}
	rate := func(perSecond float64) string { return fmt.Sprintf("%.3g", perSecond) }
	cells := []string{r.Name,
		both(micros(r.one.cpu), micros(r.many.cpuPerCall)) + " µs",
		both(micros(r.alone[0].cpu), micros(r.alone[1].cpu)) + " µs",
		both(ms(r.one.p50), ms(r.many.p50)),
		both(ms(r.alone[0].p50), ms(r.alone[1].p50)),
		both(rate(r.one.rate), rate(r.many.calls)),
		both(rate(r.alone[0].rate), rate(r.alone[1].rate)),
		micros(r.embedded.cpu) + " µs, " + ms(r.embedded.p50),
		ratio(r.one.cpu, r.embedded.cpu) + ", " + ratio(r.one.p50, r.embedded.p50),
		errorText(r.many.errors),
	}
	return "| " + strings.Join(cells, " | ") + " |\n"
}

func micros(d time.Duration) string { return thousands(float64(d) / 1e3) }

// ratio has two or three digits that say something.
func ratio(a, b time.Duration) string {
	r := float64(a) / float64(max(b, 1))
	if r >= 100 {
		return thousands(r)
	}
	return fmt.Sprintf("%.2g", r)
}
