package interaction

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// everyForm are ways to act on Patient/id and on what has the identifier,
// directly and by condition.
func (p *shop) everyForm(c Call, id, identifier string) map[string]func() (*Answer, error) {
	ctx := p.t.Context()
	body := func(id string) []byte {
		text := `{"resourceType":"Patient","managingOrganization":{"reference":"Organization/o1"}}`
		if id != "" {
			text = `{"id":"` + id + `",` + text[1:]
		}
		return []byte(text)
	}
	with := func(change func(*Call)) Call {
		c := c
		change(&c)
		return c
	}
	match := func(tag string) Call { return with(func(c *Call) { c.IfMatch = tag }) }
	none := func(tag string) Call { return with(func(c *Call) { c.IfNoneMatch = tag }) }
	patch := []byte(`[{"op":"test","path":"/gender","value":"male"}]`)
	forms := map[string]func() (*Answer, error){
		"create if none exists": func() (*Answer, error) {
			return p.Create(ctx, with(func(c *Call) { c.IfNoneExist = "identifier=" + identifier }), "Patient", body(""))
		},
		"update":                   func() (*Answer, error) { return p.Update(ctx, c, "Patient", id, body(id)) },
		"update, If-Match":         func() (*Answer, error) { return p.Update(ctx, match(`W/"1"`), "Patient", id, body(id)) },
		"update, If-Match: *":      func() (*Answer, error) { return p.Update(ctx, match("*"), "Patient", id, body(id)) },
		"update, If-None-Match: *": func() (*Answer, error) { return p.Update(ctx, none("*"), "Patient", id, body(id)) },
		"update where":             func() (*Answer, error) { return p.UpdateWhere(ctx, c, "Patient", "identifier="+identifier, body("")) },
		"update where, If-Match": func() (*Answer, error) {
			return p.UpdateWhere(ctx, match(`W/"1"`), "Patient", "identifier="+identifier, body(""))
		},
		"update where, with the id": func() (*Answer, error) { return p.UpdateWhere(ctx, c, "Patient", "identifier="+identifier, body(id)) },
		"update where it is":        func() (*Answer, error) { return p.UpdateWhere(ctx, c, "Patient", "_id="+id, body(id)) },
		"patch":                     func() (*Answer, error) { return p.Patch(ctx, c, "Patient", id, JSONPatchMedia, patch) },
		"patch, If-Match":           func() (*Answer, error) { return p.Patch(ctx, match(`W/"7"`), "Patient", id, JSONPatchMedia, patch) },
		"patch where": func() (*Answer, error) {
			return p.PatchWhere(ctx, c, "Patient", "identifier="+identifier, JSONPatchMedia, patch)
		},
		"delete":              func() (*Answer, error) { return p.Delete(ctx, c, "Patient", id) },
		"delete, If-Match":    func() (*Answer, error) { return p.Delete(ctx, match(`W/"7"`), "Patient", id) },
		"delete where":        func() (*Answer, error) { return p.DeleteWhere(ctx, c, "Patient", "identifier="+identifier) },
		"read, If-None-Match": func() (*Answer, error) { return p.Read(ctx, none(`W/"1"`), "Patient", id) },
		"vread":               func() (*Answer, error) { return p.VRead(ctx, c, "Patient", id, "1") },
		"history":             func() (*Answer, error) { return p.History(ctx, c, "Patient", id, "_count=1") },
		"a new reference": func() (*Answer, error) {
			return p.Create(ctx, c, "Encounter", []byte(`{"resourceType":"Encounter","status":"planned","class":{"code":"AMB"},"serviceProvider":{"reference":"Organization/o1"},"subject":{"reference":"Patient/`+id+`"}}`))
		},
		"a reference by condition": func() (*Answer, error) {
			return p.Bundle(ctx, c, []byte(`{"resourceType":"Bundle","type":"transaction","entry":[{"resource":{"resourceType":"Encounter","status":"planned","class":{"code":"AMB"},"serviceProvider":{"reference":"Organization/o1"},"subject":{"reference":"Patient?identifier=`+identifier+`"}},"request":{"method":"POST","url":"Encounter"}}]}`))
		},
	}
	for _, op := range []string{"meta", "everything", "validate", "break-glass"} {
		forms["$"+op] = func() (*Answer, error) { return p.Operate(ctx, c, Invocation{Code: op, Type: "Patient", ID: id}) }
	}
	for _, op := range []string{"meta-add", "meta-delete"} {
		forms["$"+op] = func() (*Answer, error) {
			return p.Operate(ctx, c, Invocation{Code: op, Type: "Patient", ID: id, Body: []byte(`{"resourceType":"Parameters","parameter":[{"name":"meta","valueMeta":{"tag":[{"code":"t"}]}}]}`)})
		}
	}
	for _, mode := range []string{"update", "delete"} {
		forms["$validate to "+mode] = func() (*Answer, error) {
			return p.Operate(ctx, c, Invocation{Code: "validate", Type: "Patient", ID: id, Query: "mode=" + mode})
		}
	}
	forms["$lastn"] = func() (*Answer, error) {
		return p.Operate(ctx, c, Invocation{Code: "lastn", Type: "Observation", Query: "patient=" + id})
	}
	for _, target := range []string{"Patient?_id=%s", "Patient?_id=%s&_summary=count", "Patient?_id=%s&_total=accurate&_sort=gender", "Observation?subject=Patient/%s&_total=accurate", "Patient/%s/Observation", "Patient/%s/*",
		"Observation?subject:Patient._id=%s", "Patient?link=%s", "Encounter?_has:Observation:encounter:patient=%s&_include=Encounter:subject", "Patient?_id:not=%s&_summary=count"} {
		forms["search "+target] = func() (*Answer, error) { return p.ask(c, fmt.Sprintf(target, id)) }
	}
	forms["search by identifier"] = func() (*Answer, error) {
		return p.ask(c, "Patient?identifier="+identifier+"&_revinclude=Observation:subject&_total=accurate")
	}
	for _, kind := range []string{"batch", "transaction"} {
		for _, entry := range []string{`{"method":"GET","url":"Patient/ID"}`, `{"method":"GET","url":"Patient?identifier=IDENTIFIER"}`, `{"method":"DELETE","url":"Patient/ID"}`, `{"method":"DELETE","url":"Patient?identifier=IDENTIFIER"}`,
			`{"method":"PUT","url":"Patient/ID","ifMatch":"W/\"1\""}`, `{"method":"PUT","url":"Patient?identifier=IDENTIFIER"}`, `{"method":"POST","url":"Patient","ifNoneExist":"identifier=IDENTIFIER"}`, `{"method":"HEAD","url":"Patient/ID"}`} {
			text := strings.NewReplacer("IDENTIFIER", identifier, "ID", id).Replace(entry)
			resource := ""
			if strings.Contains(entry, "PUT") || strings.Contains(entry, "POST") {
				of := ""
				if strings.Contains(entry, "/ID") {
					of = id
				}
				resource = `"resource":` + string(body(of)) + `,`
			}
			forms[kind+" "+entry] = func() (*Answer, error) {
				return p.Bundle(ctx, c, []byte(`{"resourceType":"Bundle","type":"`+kind+`","entry":[{`+resource+`"request":`+text+`}]}`))
			}
		}
	}
	return forms
}

// changing is what differs between any two answers.
var changing = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z|_page=[^"&]+|p[A-Za-z0-9.-]{63}`)

// TestEveryFormAnswersHiddenAsUnknown: whatever is done to what a caller may not
// see, directly, by condition, by reference, in a Bundle, by an operation, is
// answered as it is for what there is not, with the same status, tags, locations
// and bytes (decision 20; abuse 41 to 43, 53).
func TestEveryFormAnswersHiddenAsUnknown(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"ward", "doctor", "patient", "physician", "study"} {
		for _, integrity := range []Integrity{{}, {OnWrite: true, OnDelete: true}} {
			p := library(t)
			p.Integrity = integrity
			p.put("Patient", "hidden", `{"resourceType":"Patient","id":"hidden","identifier":[{"system":"urn:mrn","value":"hidden"}],"gender":"female","managingOrganization":{"reference":"Organization/o2"},"link":[{"other":{"reference":"Patient/p2"},"type":"seealso"}]}`)
			p.put("Observation", "theirs", `{"resourceType":"Observation","id":"theirs","status":"final","code":{"text":"c"},"subject":{"reference":"Patient/hidden"}}`)
			c, id := p.as(role), func(id string) string { return id }
			if role == "study" { // sees everything, but knows no ids
				id = func(id string) string { return p.pseudonymOf(p.as("trial"), id) }
			}
			hidden, unknown := p.everyForm(c, id("hidden"), "urn:mrn%7Chidden"), p.everyForm(c, id("nobody"), "urn:mrn%7Cnobody")
			if role == "study" { // an identifier is no id
				unknown = p.everyForm(c, id("nobody"), "urn:mrn%7Chidden")
			}
			for _, name := range slices.Sorted(maps.Keys(hidden)) {
				told := [2]string{}
				for i, form := range []func() (*Answer, error){hidden[name], unknown[name]} {
					a, err := form()
					text := everyByte(t.Context(), a, err)
					if err == nil {
						text = fmt.Sprint(a.Status(), a.Location(), a.LastModified().IsZero()) + text
					} else {
						text = fmt.Sprint(failure(err).Kind.Status()) + text
					}
					told[i] = strings.NewReplacer(id("hidden"), "ID", "hidden", "VALUE", id("nobody"), "ID", "nobody", "VALUE").Replace(changing.ReplaceAllString(text, "X"))
				}
				if told[0] != told[1] {
					t.Errorf("%s, %s: hidden\n%s\nunknown\n%s", role, name, told[0], told[1])
				}
			}
		}
	}
}
