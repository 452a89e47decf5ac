package bundle

import (
	"net/http"
	"strconv"
	"time"

	"github.com/fieldseal/fieldseal/fhir"
	"github.com/fieldseal/fieldseal/fhir/model"
)

// Result is what became of an entry.
type Result struct {
	Status       int    // HTTP status
	VersionID    string // "" when nothing was written or read
	LastModified time.Time
	Resource     []byte // representation to return, nil for none
	Outcome      fhir.Issues
}

// Response is the entry of the answer (R4 bundle.html#bundle-response). The
// location is written for creates and updates only.
func (e *Entry) Response(base string, r Result) model.Entry {
	res := &model.Response{Status: statusLine(r.Status), LastModified: r.LastModified}
	if r.VersionID != "" {
		res.ETag = `W/"` + r.VersionID + `"`
	}
	if r.VersionID != "" && e.ID != "" && e.writes() && e.Method != "DELETE" {
		res.Location = base + "/" + e.Type + "/" + e.ID + "/_history/" + r.VersionID
	}
	if len(r.Outcome) > 0 {
		res.Outcome = model.OperationOutcome(r.Outcome)
	}
	out := model.Entry{Resource: r.Resource, Response: res}
	if e.ID != "" && r.Resource != nil {
		out.FullURL = base + "/" + e.Type + "/" + e.ID
	}
	return out
}

// statusLine is the code with its phrase, as R4's examples show it.
func statusLine(code int) string {
	if text := http.StatusText(code); text != "" {
		return strconv.Itoa(code) + " " + text
	}
	return strconv.Itoa(code)
}
