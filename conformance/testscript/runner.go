package testscript

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Runner runs scripts against one server.
type Runner struct {
	Base   string       // FHIR base URL
	Token  string       // bearer token, or empty
	Client *http.Client // nil for one with sensible limits
	// Variables are values that a person would enter (TestScript.variable.hint);
	// they win over defaults and sources.
	Variables map[string]string
	// Scripts can be run as subtests, by name.
	Scripts []*Script
}

// requestTimeout is how long one request may take.
const requestTimeout = 30 * time.Second

// maxBody bounds what is read of an answer.
const maxBody = 64 << 20

// run is one script under way.
type run struct {
	*Runner
	ctx    context.Context
	script *Script
	depth  int // of subtests

	vars      map[string]string // bound by the caller of a subtest
	fixtures  map[string]*message
	requests  map[string]*message
	responses map[string]*message

	lastRequest, lastResponse *message
}

// Run executes one script.
func (r *Runner) Run(ctx context.Context, s *Script) Result { return r.run(ctx, s, nil, 0) }

func (r *Runner) run(ctx context.Context, s *Script, vars map[string]string, depth int) Result {
	if r.Client == nil {
		r.Client = &http.Client{Timeout: requestTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	x := &run{Runner: r, ctx: ctx, script: s, depth: depth, vars: vars, fixtures: map[string]*message{},
		requests: map[string]*message{}, responses: map[string]*message{}}
	result := Result{Script: s.String(), File: s.File, Verdict: Skip}
	ready := true
	if p := x.prepare(); len(p.Actions) > 0 {
		ready = !broken(result.add(p))
	}
	if ready && len(s.Setup.Actions) > 0 {
		ready = !broken(result.add(x.part("setup", s.Setup)))
	}
	for i, t := range s.Tests {
		name := t.Name
		if name == "" {
			name = "test " + strconv.Itoa(i+1)
		}
		if !ready {
			result.add(PartResult{Name: name, Verdict: Skip, Actions: []ActionResult{{Label: name, Verdict: Skip, Detail: "its setup failed"}}})
			continue
		}
		result.add(x.part(name, t))
	}
	if len(s.Teardown.Actions) > 0 {
		result.add(x.part("teardown", s.Teardown))
	}
	if p := x.cleanUp(); len(p.Actions) > 0 {
		result.add(p)
	}
	return result
}

func broken(v Verdict) bool { return v == Fail || v == Error }

// part runs actions until one fails.
func (x *run) part(name string, p part) PartResult {
	result := PartResult{Name: name, Verdict: Skip}
	for i, a := range p.Actions {
		verdict := result.add(x.action(i, a))
		if broken(verdict) {
			if left := len(p.Actions) - i - 1; left > 0 {
				result.add(ActionResult{Label: "rest", Verdict: Skip, Detail: fmt.Sprintf("%d actions were not run", left)})
			}
			break
		}
	}
	return result
}

func (x *run) action(i int, a action) ActionResult {
	switch {
	case a.Operation != nil && a.Assert == nil:
		label := first(a.Operation.Label, a.Operation.Description, a.Operation.Type.Code, "operation "+strconv.Itoa(i+1))
		if err := x.operate(a.Operation); err != nil {
			return failed(label, err)
		}
		return ActionResult{Label: label, Verdict: Pass}
	case a.Assert != nil && a.Operation == nil:
		label := first(a.Assert.Label, a.Assert.Description, "assertion "+strconv.Itoa(i+1))
		if err := x.assert(a.Assert); err != nil {
			result := failed(label, err)
			if a.Assert.WarningOnly && broken(result.Verdict) {
				result.Verdict = Warning
			}
			return result
		}
		return ActionResult{Label: label, Verdict: Pass}
	}
	return ActionResult{Label: "action " + strconv.Itoa(i+1), Verdict: Error, Detail: "an action is one operation or one assertion"}
}

// mismatch is an assertion that does not hold; skipped something that cannot
// be judged. Every other error means that the script could not be followed.
type (
	mismatch struct{ text string }
	skipped  struct{ text string }
)

func (m mismatch) Error() string { return m.text }
func (s skipped) Error() string  { return s.text }

func differ(format string, args ...any) error { return mismatch{fmt.Sprintf(format, args...)} }
func skip(format string, args ...any) error   { return skipped{fmt.Sprintf(format, args...)} }

func failed(label string, err error) ActionResult {
	var m mismatch
	var s skipped
	verdict := Error
	switch {
	case errors.As(err, &m):
		verdict = Fail
	case errors.As(err, &s):
		verdict = Skip
	}
	return ActionResult{Label: label, Verdict: verdict, Detail: err.Error()}
}

func first(texts ...string) string {
	for _, t := range texts {
		if t = strings.TrimSpace(t); t != "" {
			return t
		}
	}
	return ""
}
