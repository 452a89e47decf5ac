package trail

import (
	"fmt"
	"io"
	"time"
)

// Attack classes of what Verify finds.
type Finding string

// The findings. Each names what an attacker or a fault did to the trail.
const (
	FlippedByte     Finding = "flipped byte"
	Deletion        Finding = "deletion"
	Insertion       Finding = "insertion"
	Reordering      Finding = "reordering"
	TruncatedTail   Finding = "truncated tail"
	Fork            Finding = "fork"
	ClockBack       Finding = "clock going back"
	BadSignature    Finding = "checkpoint signature"
	MissingSegment  Finding = "missing segment"
	ForeignKey      Finding = "public key differs"
	DamagedFile     Finding = "damaged file"
	MismatchedIndex Finding = "index differs"
)

// Problem is one fault with its place.
type Problem struct {
	Finding Finding `json:"finding"`
	File    string  `json:"file,omitempty"`
	Offset  int64   `json:"offset,omitempty"`
	Seq     uint64  `json:"seq,omitempty"`
	Detail  string  `json:"detail"`
}

// Report is the result of Verify.
type Report struct {
	Origin      string    `json:"origin"`
	PublicKey   string    `json:"public_key"`
	Segments    int       `json:"segments"`
	Events      uint64    `json:"events"`
	First       time.Time `json:"first"`
	Last        time.Time `json:"last"`
	Checkpoints int       `json:"checkpoints"`
	Checkpoint  uint64    `json:"checkpoint"` // events that a signature covers
	Witnessed   uint64    `json:"witnessed"`  // events that the witness covers
	Notes       []string  `json:"notes,omitempty"`
	Problems    []Problem `json:"problems"`
}

// maxProblems bounds a report: one broken chain can repeat itself at length.
const maxProblems = 100

// OK reports whether nothing was found.
func (r *Report) OK() bool { return len(r.Problems) == 0 }

func (r *Report) add(p Problem) {
	if len(r.Problems) < maxProblems {
		r.Problems = append(r.Problems, p)
	}
}

// WriteTo prints the report for people.
func (r *Report) WriteTo(w io.Writer) (int64, error) {
	var total int64
	line := func(format string, args ...any) error {
		n, err := fmt.Fprintf(w, format+"\n", args...)
		total += int64(n)
		return err
	}
	err := line("origin %s, %d segments, %d events", r.Origin, r.Segments, r.Events)
	if err == nil && r.Events > 0 {
		err = line("from %s to %s", r.First.Format(time.RFC3339), r.Last.Format(time.RFC3339))
	}
	if err == nil {
		err = line("%d checkpoints; %d events signed, %d witnessed", r.Checkpoints, r.Checkpoint, r.Witnessed)
	}
	for i := 0; i < len(r.Notes) && err == nil; i++ {
		err = line("note: %s", r.Notes[i])
	}
	for i := 0; i < len(r.Problems) && err == nil; i++ {
		p := r.Problems[i]
		err = line("PROBLEM %s: %s (file %s, offset %d, event %d)", p.Finding, p.Detail, p.File, p.Offset, p.Seq)
	}
	if err != nil {
		return total, err
	}
	if r.OK() {
		return total, line("no problem found")
	}
	return total, line("%d problems found", len(r.Problems))
}
