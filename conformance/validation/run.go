package validation

import (
	"strconv"

	"github.com/fieldseal/fieldseal/fhir"
)

// Issue codes (R4 valueset-issue-type.html) that this package uses.
const (
	codeStructure     = "structure"
	codeRequired      = "required"
	codeValue         = "value"
	codeCodeInvalid   = "code-invalid"
	codeInvariant     = "invariant"
	codeNotFound      = "not-found"
	codeDuplicate     = "duplicate"
	codeTooLong       = "too-long"
	codeInformational = "informational"
)

// run is the state of one validation. The path is a stack that becomes text
// only when an issue needs it.
type run struct {
	v         *Validator
	path      []step
	issues    fhir.Issues
	container *container
}

// step is one level of the path. index -1 means no index.
type step struct {
	name  string
	index int
}

func (x *run) push(name string)        { x.path = append(x.path, step{name, -1}) }
func (x *run) pop()                    { x.path = x.path[:len(x.path)-1] }
func (x *run) at(i int)                { x.path[len(x.path)-1].index = i }
func (x *run) full() bool              { return len(x.issues) > MaxIssues }
func (x *run) fault(code, rule string) { x.faultAt("", code, rule) }

// reset drops everything that refers to the resource.
func (x *run) reset() {
	clear(x.path)
	*x = run{v: x.v, path: x.path[:0]}
}

// faultAt reports a fault of the child name of the current path.
func (x *run) faultAt(name, code, rule string) {
	switch {
	case x.full():
	case len(x.issues) == MaxIssues:
		x.issues = append(x.issues, fhir.Issue{
			Severity: fhir.Information, Code: codeInformational,
			Diagnostics: "more faults were found; only the first " + strconv.Itoa(MaxIssues) + " are listed",
		})
	default:
		x.issues = append(x.issues, fhir.Issue{
			Severity: fhir.Error, Code: code, Diagnostics: rule, Expression: []string{x.expression(name)},
		})
	}
}

// expression renders the current path as FHIRPath: Patient.name[0].given[1].
func (x *run) expression(name string) string {
	b := make([]byte, 0, 64)
	for i, s := range x.path {
		if i > 0 {
			b = append(b, '.')
		}
		b = append(b, s.name...)
		if s.index >= 0 {
			b = append(b, '[')
			b = strconv.AppendInt(b, int64(s.index), 10)
			b = append(b, ']')
		}
	}
	if name != "" {
		b = append(append(b, '.'), name...)
	}
	return string(b)
}

// elementName returns name if it looks like one of FHIR, else "": a member
// name that no definition knows is the client's text and may hold anything.
func elementName(name string) string {
	if len(name) > 64 {
		return ""
	}
	for i := 0; i < len(name); i++ {
		c := name[i] | 0x20
		if (c < 'a' || c > 'z') && (i == 0 || name[i] < '0' || name[i] > '9') {
			return ""
		}
	}
	return name
}
