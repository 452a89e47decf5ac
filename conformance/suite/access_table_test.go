package suite

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
)

const (
	registrar = "registrar"
	physician = "physician"
)

// mark is a code that no other test stores.
func mark() object {
	return object{"coding": []any{object{"system": "urn:suite:code", "code": unique("c-")}}}
}

func codeOf(c object) string { return "urn:suite:code|" + at(c, "coding", 0, "code").(string) }

// scene is the patient whose token asks, another patient and what is theirs.
type scene struct {
	*server
	other, otherObs string
	ownObs          string // refers to the other patient by focus
	code            object // of both observations
	mrn             string // of the other patient
	binary          string // of the other patient
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := shared(t)
	p := person("")
	c := &scene{server: s, code: mark(), mrn: identifierOf(p)}
	c.other = s.create(t, p)
	obs := observation("Patient/" + c.other)
	obs["code"] = c.code
	c.otherObs = s.create(t, obs)
	own := observation("Patient/" + s.Patient)
	own["code"], own["focus"] = c.code, []any{object{"reference": "Patient/" + c.other}}
	c.ownObs = s.create(t, own)
	c.binary = s.create(t, object{"resourceType": "Binary", "contentType": "text/plain", "data": "c2VjcmV0", "securityContext": object{"reference": "Patient/" + c.other}})
	return c
}

// TestAccessAttacks goes through the group Access of the abusive requests, line
// by line.
func TestAccessAttacks(t *testing.T) {
	t.Parallel()
	c := newScene(t)
	for _, line := range []struct {
		says string // the line
		is   func(t *testing.T, c *scene)
	}{
		{"41 patient A's token reads B: 404, as an unknown id", func(t *testing.T, c *scene) {
			sameAnswer(t, "read", c.do(t, patient, "GET", "/Patient/"+c.other, nil).outcome(404), c.do(t, patient, "GET", "/Patient/"+unique("none-"), nil))
		}},
		{"42 vread and history of B: 404", func(t *testing.T, c *scene) {
			for _, path := range []string{"/Patient/" + c.other, "/Observation/" + c.otherObs} {
				c.do(t, patient, "GET", path+"/_history/1", nil).outcome(404)
				c.do(t, patient, "GET", path+"/_history", nil).outcome(404)
			}
		}},
		{"43 _include reaching B's resource: omitted", func(t *testing.T, c *scene) {
			for _, include := range []string{"_include=Observation:focus", "_include=*", "_include:iterate=Observation:*"} {
				a := c.do(t, patient, "GET", "/Observation?code="+url.QueryEscape(codeOf(c.code))+"&"+include, nil).want(200)
				if strings.Contains(string(a.body), "/Patient/"+c.other+`"`) || !strings.Contains(string(a.body), c.ownObs) {
					t.Errorf("%s: %.400s", include, a.body)
				}
			}
		}},
		{"44 _revinclude=Provenance:target without the right to it: 403", func(t *testing.T, c *scene) {
			c.do(t, registrar, "GET", "/Patient?_id="+c.Patient+"&_revinclude=Provenance:target", nil).outcome(403)
			c.do(t, registrar, "GET", "/Patient?_id="+unique("none-")+"&_revinclude=Provenance:target", nil).outcome(403)
		}},
		{"45 subject:Patient.identifier without the identifier class: 403", func(t *testing.T, c *scene) {
			c.do(t, researcher, "GET", "/Observation?subject:Patient.identifier="+c.mrn, nil).outcome(403)
			c.do(t, researcher, "GET", "/Observation?patient.identifier="+c.mrn, nil).outcome(403)
		}},
		{"46 identifier by a researcher: 403 even with no match", func(t *testing.T, c *scene) {
			sameAnswer(t, "identifier", c.do(t, researcher, "GET", "/Patient?identifier="+c.mrn, nil).outcome(403), c.do(t, researcher, "GET", "/Patient?identifier=urn:suite|none", nil))
			c.do(t, researcher, "POST", "/Patient/_search", "identifier="+c.mrn, "Content-Type", "application/x-www-form-urlencoded").outcome(403)
		}},
		{"47 _has on a forbidden type: 403", func(t *testing.T, c *scene) {
			c.do(t, registrar, "GET", "/Patient?_has:Observation:patient:code="+url.QueryEscape(codeOf(c.code)), nil).outcome(403)
			c.do(t, registrar, "GET", "/Patient?_has:Observation:patient:code=none", nil).outcome(403)
			c.do(t, researcher, "GET", "/Organization?_has:Patient:organization:name=x", nil).outcome(403)
		}},
		{"48 _filter, _text, _content: refused to everybody", func(t *testing.T, c *scene) {
			for _, q := range []string{"_filter=name%20eq%20x", "_text=x", "_content=x"} {
				for _, role := range []string{researcher, clinician} {
					c.do(t, role, "GET", "/Patient?"+q, nil).outcome(400)
				}
			}
		}},
		{"49 _sort by a hidden element: 403", func(t *testing.T, c *scene) {
			for _, key := range []string{"family", "-birthdate", "_id,family", "address-city", "_lastUpdated"} {
				c.do(t, researcher, "GET", "/Patient?_sort="+key, nil).outcome(403)
			}
		}},
		{"50 page cursor altered or used by another: refused", func(t *testing.T, c *scene) {
			next := c.do(t, clinician, "GET", "/Patient?_count=1", nil).want(200).follow("next")
			c.do(t, clinician, "GET", next, nil).want(200)
			for _, role := range []string{patient, researcher, nurse} {
				c.do(t, role, "GET", next, nil).outcome(400)
			}
			c.do(t, clinician, "GET", otherLetter(next), nil).outcome(400)
			c.do(t, clinician, "GET", strings.Replace(next, "/Patient?", "/Observation?", 1), nil).outcome(400)
		}},
		{"51 _total=accurate, _summary=count: visible matches only", func(t *testing.T, c *scene) {
			for _, q := range []string{"_total=accurate", "_summary=count", "_count=0", "_total=estimate"} {
				a := c.do(t, patient, "GET", "/Observation?code="+url.QueryEscape(codeOf(c.code))+"&"+q, nil).want(200).json()
				if a["total"] != nil && fmt.Sprint(a["total"]) != "1" {
					t.Errorf("%s counts %v", q, a["total"])
				}
			}
		}},
		{"52 _elements naming a hidden element: still absent", func(t *testing.T, c *scene) {
			for _, q := range []string{"_elements=name,identifier,telecom", "_elements=name", "_summary=true", "_summary=text"} {
				a := c.do(t, researcher, "GET", "/Patient?_id="+c.other+"&"+q, nil).want(200)
				if s := string(a.body); strings.Contains(s, "urn:suite") || strings.Contains(s, `"name"`) || strings.Contains(s, `"telecom"`) {
					t.Errorf("%s: %s", q, s)
				}
			}
		}},
		{"53 If-None-Exist by identifier as an oracle: 403", func(t *testing.T, c *scene) {
			for _, value := range []string{c.mrn, "urn:suite|none"} {
				c.do(t, researcher, "POST", "/Patient", person(""), "If-None-Exist", "identifier="+value).outcome(403)
				c.do(t, researcher, "PUT", "/Patient?identifier="+value, person("")).outcome(403)
				c.do(t, researcher, "DELETE", "/Patient?identifier="+value, nil).outcome(403)
				c.do(t, researcher, "PATCH", "/Patient?identifier="+value, []any{}, "Content-Type", "application/json-patch+json").outcome(403)
				c.do(t, registrar, "POST", "/Patient", person(""), "If-None-Exist", "_has:Observation:patient:code="+value).outcome(403)
			}
		}},
		{"54 conditional delete of many: 412; a PUT that moves the subject: 403", func(t *testing.T, c *scene) {
			c.do(t, clinician, "DELETE", "/Observation?code="+url.QueryEscape(codeOf(c.code)), nil).outcome(412)
			moved := observation("Patient/" + c.Patient)
			moved["id"], moved["code"] = c.otherObs, c.code
			c.do(t, clinician, "PUT", "/Observation/"+c.otherObs, moved).outcome(403)
		}},
		{"55 AuditEvent, foreign Consent or Provenance, label downgrade: 403", func(t *testing.T, c *scene) {
			for _, role := range []string{clinician, integration, privacyOfficer, patient} {
				c.do(t, role, "POST", "/AuditEvent", object{"resourceType": "AuditEvent"}).outcome(403)
				c.do(t, role, "PUT", "/AuditEvent/x", object{"resourceType": "AuditEvent", "id": "x"}).outcome(403)
			}
			c.do(t, patient, "POST", "/Consent", object{"resourceType": "Consent", "patient": object{"reference": "Patient/" + c.other}}).outcome(403)
			c.do(t, patient, "POST", "/Provenance", object{"resourceType": "Provenance", "target": []any{object{"reference": "Patient/" + c.other}}}).outcome(403)
			meta := object{"resourceType": "Parameters", "parameter": []any{object{"name": "meta", "valueMeta": object{"security": []any{object{"code": "R"}}}}}}
			for _, role := range []string{nurse, patient, physician, registrar} {
				c.do(t, role, "POST", "/Observation/"+c.ownObs+"/$meta-delete", meta).outcome(403)
			}
		}},
		{"56 the ETag of a redacted read tells of no hidden change", func(t *testing.T, c *scene) {
			id := unique("etag-")
			p := person(id)
			c.do(t, integration, "PUT", "/Patient/"+id, p).want(201)
			before := c.do(t, researcher, "GET", "/Patient/"+id, nil).want(200)
			p["name"] = []any{object{"family": unique("Hidden")}}
			c.do(t, integration, "PUT", "/Patient/"+id, p).want(200)
			sameAnswer(t, "a hidden change", before, c.do(t, researcher, "GET", "/Patient/"+id, nil))
			h := c.do(t, researcher, "GET", "/Patient/"+id+"/_history", nil).want(200)
			if n := len(each(h.json(), "entry")); n != 1 {
				t.Errorf("the history has %d entries", n)
			}
		}},
		{"57 transaction with one forbidden entry: nothing written, no ids leaked", func(t *testing.T, c *scene) {
			good, code := observation("Patient/"+c.other), mark()
			good["code"] = code
			a := c.do(t, "device", "POST", "", transaction(post(good, ""), put(person(c.other)))).outcome(403)
			if strings.Contains(string(a.body), c.other) || strings.Contains(string(a.body), "Observation/") {
				t.Errorf("the refusal tells %s", a.body)
			}
			if n := c.total(t, "/Observation?code="+url.QueryEscape(codeOf(code))); n != 0 {
				t.Errorf("%d were written", n)
			}
		}},
		{"58 Binary of another: 404", func(t *testing.T, c *scene) {
			for _, accept := range []string{"application/fhir+json", "text/plain", "*/*"} {
				c.do(t, patient, "GET", "/Binary/"+c.binary, nil, "Accept", accept).outcome(404)
			}
		}},
		{"59 subscription: none is served, so that none leaves", func(t *testing.T, c *scene) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			called := make(chan struct{}, 1)
			go func() {
				if conn, err := l.Accept(); err == nil {
					_ = conn.Close()
					called <- struct{}{}
				}
			}()
			a := c.do(t, clinician, "POST", "/Subscription", object{"resourceType": "Subscription", "status": "requested", "reason": "test", "criteria": "Observation?code=" + codeOf(c.code),
				"channel": object{"type": "rest-hook", "endpoint": "http://" + l.Addr().String()}})
			if a.status != 201 && a.status != 422 {
				t.Errorf("status %d", a.status)
			}
			obs := observation("Patient/" + c.other)
			obs["code"] = c.code
			c.create(t, obs)
			select {
			case <-called:
				t.Error("the server called an address that a client chose")
			default:
			}
		}},
		{"60 hostile search values: 400", func(t *testing.T, c *scene) {
			for _, q := range []string{"identifier=" + strings.Repeat("a", 10<<10), "identifier=" + strings.Repeat("a,", 500) + "a", "general-practitioner" + strings.Repeat(".organization", 20) + ".name=x"} {
				c.do(t, integration, "GET", "/Patient?"+q, nil).outcome(400)
			}
			if n := c.total(t, "/Patient?identifier=(.*)%2B$"); n != 0 {
				t.Errorf("a pattern matches %d", n)
			}
		}},
	} {
		t.Run(line.says, func(t *testing.T) { line.is(t, c) })
	}
}

// TestHiddenIsUnknownToEveryOperation: what another patient is to a caller who may
// not see it is what there is not, by every way to ask, with every header.
func TestHiddenIsUnknownToEveryOperation(t *testing.T) { // abuse 41 to 43, 51
	t.Parallel()
	c := newScene(t)
	nobodys, none := unique("none-"), unique("none-")
	for _, role := range []string{patient, physician} {
		for _, ask := range []struct {
			method, path string
			header       []string
		}{
			{method: "GET", path: "/Patient/ID", header: []string{"If-None-Match", `W/"1"`}},
			{method: "GET", path: "/Patient/ID", header: []string{"If-Modified-Since", "Thu, 01 Jan 1970 00:00:00 GMT"}},
			{method: "GET", path: "/Patient/ID/$meta"},
			{method: "GET", path: "/Patient/ID/$everything"},
			{method: "GET", path: "/Patient/ID/$validate?mode=delete"},
			{method: "GET", path: "/Observation/$lastn?patient=ID"},
			{method: "GET", path: "/Patient/ID/Observation?_total=accurate"},
			{method: "GET", path: "/Patient/ID/*"},
			{method: "GET", path: "/Observation?subject=Patient/ID&_include=Observation:subject&_sort=-date&_total=accurate"},
			{method: "GET", path: "/Observation?subject:Patient._id=ID&_summary=count"},
			{method: "GET", path: "/Observation?_id=OBS&_include=*"},
			{method: "GET", path: "/Observation/OBS/$meta"},
			{method: "HEAD", path: "/Observation/OBS"},
			{method: "PUT", path: "/Patient/ID", header: []string{"If-Match", `W/"1"`}},
			{method: "PUT", path: "/Patient?_id=ID"},
			{method: "DELETE", path: "/Observation/OBS", header: []string{"If-Match", `W/"1"`}},
			{method: "DELETE", path: "/Observation?_id=OBS"},
			{method: "POST", path: "/Patient", header: []string{"If-None-Exist", "_id=ID"}},
		} {
			told := [2]string{}
			for i, ids := range [][2]string{{c.other, c.otherObs}, {nobodys, none}} {
				names := strings.NewReplacer("ID", ids[0], "OBS", ids[1])
				var body any
				header := slices.Clone(ask.header)
				for j := range header {
					header[j] = names.Replace(header[j])
				}
				if ask.method == "PUT" || ask.method == "POST" {
					body = object{"resourceType": "Patient", "id": ids[0]}
				}
				a := c.do(t, role, ask.method, names.Replace(ask.path), body, header...)
				told[i] = strings.NewReplacer(ids[0], "ID", ids[1], "OBS").Replace(fmt.Sprint(a.status, a.header.Get("Location"), a.header.Get("ETag"), a.header.Get("Last-Modified"), a.header.Get("Content-Location"), string(a.body)))
			}
			if told[0] != told[1] {
				t.Errorf("%s %s %s %v: hidden %s, unknown %s", role, ask.method, ask.path, ask.header, told[0], told[1])
			}
		}
	}
}
