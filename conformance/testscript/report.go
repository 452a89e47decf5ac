package testscript

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Table prints a line per part and the totals.
func Table(w io.Writer, results []Result) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SCRIPT\tTEST\tRESULT\tDETAIL")
	total := map[Verdict]int{}
	for _, r := range results {
		total[r.Verdict]++
		for _, p := range r.Parts {
			details := p.Details()
			if len(details) == 0 {
				details = []string{""}
			}
			for i, d := range details {
				if i == 0 {
					fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", r.Script, p.Name, p.Verdict, d)
				} else {
					fmt.Fprintf(t, "\t\t\t%s\n", d)
				}
			}
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%d scripts: %d pass, %d warning, %d fail, %d error, %d skip\n", len(results),
		total[Pass], total[Warning], total[Fail], total[Error], total[Skip])
	return err
}

type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	File     string      `xml:"file,attr,omitempty"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string     `xml:"classname,attr"`
	Name    string     `xml:"name,attr"`
	Failure *junitText `xml:"failure,omitempty"`
	Error   *junitText `xml:"error,omitempty"`
	Skipped *junitText `xml:"skipped,omitempty"`
	Out     string     `xml:"system-out,omitempty"`
}

type junitText struct {
	Message string `xml:"message,attr"`
}

// JUnit prints the results as JUnit XML: a suite per script, a case per part.
func JUnit(w io.Writer, results []Result) error {
	var all junitSuites
	for _, r := range results {
		s := junitSuite{Name: r.Script, File: r.File, Tests: len(r.Parts)}
		for _, p := range r.Parts {
			c := junitCase{Class: r.Script, Name: p.Name}
			text := strings.Join(p.Details(), "\n")
			switch p.Verdict {
			case Fail:
				s.Failures++
				c.Failure = &junitText{text}
			case Error:
				s.Errors++
				c.Error = &junitText{text}
			case Skip:
				s.Skipped++
				c.Skipped = &junitText{text}
			default:
				c.Out = text
			}
			s.Cases = append(s.Cases, c)
		}
		all.Suites = append(all.Suites, s)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}
