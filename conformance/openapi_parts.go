package conformance

import "net/http"

// searchSchemas are the forms of values of search parameters (R4 search.html),
// and the two shapes of bodies.
func searchSchemas() object {
	text := func(description string) object { return object{"type": "string", "description": description} }
	return object{
		"search-number":    text("[prefix]number; several values separated by commas mean or"),
		"search-date":      text("[prefix]YYYY[-MM[-DD[Thh:mm[:ss][zone]]]]"),
		"search-string":    text("the beginning of the text, whatever its case and accents"),
		"search-token":     text("code, system|code, |code or system|"),
		"search-reference": text("id, type/id or URL"),
		"search-composite": text("values of the components, separated by $"),
		"search-quantity":  text("[prefix]number, or [prefix]number|system|code"),
		"search-uri":       text("the whole URI"),
		"search-special":   text("as the parameter's definition says"),
		"Resource": object{"type": "object", "required": []string{"resourceType"},
			"properties":   object{"resourceType": object{"type": "string"}, "id": object{"type": "string", "pattern": `^[A-Za-z0-9\-.]{1,64}$`}},
			"externalDocs": object{"url": "http://hl7.org/fhir/R4/resourcelist.html"}},
		"Bundle": object{"type": "object", "required": []string{"resourceType", "type"},
			"properties":   object{"resourceType": object{"const": "Bundle"}, "type": object{"type": "string"}},
			"externalDocs": object{"url": "http://hl7.org/fhir/R4/bundle.html"}},
		"OperationOutcome": object{"type": "object", "required": []string{"resourceType", "issue"},
			"properties":   object{"resourceType": object{"const": "OperationOutcome"}, "issue": object{"type": "array", "items": object{"type": "object"}}},
			"externalDocs": object{"url": "http://hl7.org/fhir/R4/operationoutcome.html"}},
	}
}

// headerParameters are the parameters that routes share.
func headerParameters() object {
	header := func(name, description string) object {
		return object{"name": name, "in": "header", "description": description, "schema": object{"type": "string"}}
	}
	segment := func(name, pattern string) object {
		schema := object{"type": "string"}
		if pattern != "" {
			schema["pattern"] = pattern
		}
		return object{"name": name, "in": "path", "required": true, "schema": schema}
	}
	return object{
		"id":                segment("id", `^[A-Za-z0-9\-.]{1,64}$`),
		"version":           segment("version", `^[A-Za-z0-9\-.]{1,64}$`),
		"member":            segment("member", `^(\*|[A-Za-z]+)$`),
		"If-Match":          header("If-Match", "the version that is changed, W/\"n\""),
		"If-None-Match":     header("If-None-Match", "versions that the client has"),
		"If-Modified-Since": header("If-Modified-Since", "an HTTP date"),
		"If-None-Exist":     header("If-None-Exist", "search parameters; nothing is created when one resource matches"),
		"Prefer":            header("Prefer", "return=minimal, representation or OperationOutcome; handling=strict or lenient"),
	}
}

// headersOf are the request headers that a route heeds beyond the usual ones.
func headersOf(r Route) []string {
	switch r.Code {
	case "read":
		return []string{"If-None-Match", "If-Modified-Since"}
	case "create":
		return []string{"If-None-Exist", "Prefer"}
	case "update", "patch":
		return []string{"If-Match", "Prefer"}
	case "delete":
		return []string{"If-Match"}
	case "search-type", "search-system", "transaction":
		return []string{"Prefer"}
	}
	return nil
}

// answers are the responses that routes share.
func answers() object {
	body := func(description, schema string) object {
		return object{"description": description, "content": object{"application/fhir+json": object{"schema": reference("schemas", schema)}}}
	}
	return object{
		"Resource": body("a resource, or a Bundle of them", "Resource"),
		"Bundle":   body("a Bundle", "Bundle"),
		"Created":  body("created; Location names the version", "Resource"),
		"Changed":  body("changed; Location names the version", "Resource"),
		"Deleted":  object{"description": "deleted, or not there"},
		"Head":     object{"description": "the headers of GET"},
		"Document": object{"description": "a JSON document", "content": object{"application/json": object{}}},
		"Error":    body("an error", "OperationOutcome"),
	}
}

func responses(r Route) object {
	out := object{"default": reference("responses", "Error")}
	switch {
	case r.Method == http.MethodHead:
		out["200"] = reference("responses", "Head")
	case r.Method == http.MethodDelete:
		out["204"] = reference("responses", "Deleted")
	case r.Method == http.MethodPut:
		out["200"], out["201"] = reference("responses", "Changed"), reference("responses", "Created")
	case r.Method == http.MethodPatch:
		out["200"] = reference("responses", "Changed")
	case r.Code == "create":
		out["200"], out["201"] = reference("responses", "Changed"), reference("responses", "Created")
	case r.Bundle, r.Form:
		out["200"] = reference("responses", "Bundle")
	case r.Path == "/openapi.json":
		out["200"] = reference("responses", "Document")
	default:
		out["200"] = reference("responses", "Resource")
	}
	return out
}
