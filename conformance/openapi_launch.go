package conformance

import "strings"

// addLaunch describes the call by which an EHR starts an app, which lies beside
// the base (SMART App Launch 2.2, EHR launch).
func (d *document) addLaunch(url string) {
	text := func(about string) object { return object{"type": "string", "description": about} }
	also := object{"type": "object", "additionalProperties": false, "properties": object{
		"reference": text("TYPE/ID"), "canonical": text("absolute URL"), "type": text("resource type"), "role": text("launch or an absolute URI"),
		"identifier": object{"type": "object", "required": []string{"system", "value"}, "properties": object{"system": text("URI"), "value": text("value")}}}}
	d.schemas["launch"] = object{"type": "object", "additionalProperties": false, "required": []string{"client_id"}, "properties": object{
		"client_id": text("the app, registered with the scope launch"),
		"user":      text("account that will use the app, user:NAME; left out with a user's own token"),
		"patient":   text("logical id"), "encounter": text("logical id, of the patient"),
		"fhirContext": object{"type": "array", "maxItems": 32, "items": also},
		"intent":      text("handed on"), "tenant": text("handed on"),
		"need_patient_banner": object{"type": "boolean", "default": true},
		"smart_style_url":     text("https URL; that of this server's pages when left out"),
	}}
	d.schemas["launched"] = object{"type": "object", "required": []string{"launch", "iss", "expires_in"}, "properties": object{
		"launch": text("opaque, good once, for the app and the user"), "iss": text("this server's FHIR base"), "expires_in": object{"type": "integer"}}}
	answer := func(about, schema string) object {
		return object{"description": about, "content": object{"application/json": object{"schema": reference("schemas", schema)}}}
	}
	d.schemas["oauth-error"] = object{"type": "object", "required": []string{"error"}, "properties": object{
		"error": text("code of RFC 6749 or RFC 6750"), "error_description": text("for people")}}
	at := strings.LastIndexByte(url, '/')
	d.paths[url[at:]] = object{"servers": []object{{"url": url[:at]}}, "post": object{
		"summary": "an EHR starts an app with context", "operationId": "launch",
		"requestBody": object{"required": true, "content": object{"application/json": object{"schema": reference("schemas", "launch")}}},
		"responses": object{"200": answer("the launch parameter for the app", "launched"), "400": answer("not understood", "oauth-error"),
			"401": answer("no token in force", "oauth-error"), "403": answer("no right to launch, or the user may not see what is named", "oauth-error"),
			"429": answer("asked too often", "oauth-error"), "503": answer("cannot be served now", "oauth-error")}}}
}
