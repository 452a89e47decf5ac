package testscript

// Verdict is how something ended.
type Verdict string

// The verdicts (R4 valueset-report-action-result-codes).
const (
	Pass    Verdict = "pass"
	Warning Verdict = "warning" // an assertion that only warns did not hold
	Skip    Verdict = "skip"
	Fail    Verdict = "fail"
	Error   Verdict = "error" // the script could not be followed
)

var weights = map[Verdict]int{Skip: 0, Pass: 1, Warning: 2, Fail: 3, Error: 4}

// worse is the verdict of a whole whose parts have these two.
func worse(a, b Verdict) Verdict {
	if weights[b] > weights[a] {
		return b
	}
	return a
}

// Result is what came of one script.
type Result struct {
	Script  string
	File    string
	Verdict Verdict
	Parts   []PartResult
}

// PartResult is what came of the setup, one test or the teardown.
type PartResult struct {
	Name    string
	Verdict Verdict
	Actions []ActionResult
}

// ActionResult is what came of one operation or assertion.
type ActionResult struct {
	Label   string
	Verdict Verdict
	Detail  string // of whatever is no pass; tells no bodies
}

// add appends an action and returns its verdict.
func (p *PartResult) add(a ActionResult) Verdict {
	p.Actions = append(p.Actions, a)
	p.Verdict = worse(p.Verdict, a.Verdict)
	return a.Verdict
}

func (r *Result) add(p PartResult) Verdict {
	r.Parts = append(r.Parts, p)
	r.Verdict = worse(r.Verdict, p.Verdict)
	return p.Verdict
}

// Details are the texts of all actions that are no pass.
func (p PartResult) Details() (details []string) {
	for _, a := range p.Actions {
		if a.Verdict != Pass && a.Detail != "" {
			details = append(details, string(a.Verdict)+": "+a.Label+": "+a.Detail)
		}
	}
	return details
}
