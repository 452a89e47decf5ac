package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Route is one served method and path below the base.
type Route struct {
	Method string
	Path   string // with :name for a variable segment
	Code   string // of the interaction (R4), empty when it has none
	Open   bool   // needs no token
	Bundle bool   // the body is a Bundle
	Form   bool   // the body is a form of search parameters
	Patch  bool   // the body is a patch
}

type object = map[string]any

// OpenAPI renders an OpenAPI 3.1 document of the routes, with the search
// parameters of every type. It claims what Served claims and no more.
//
// Paths of searches are spelt out per type, because parameters differ; all
// others have {type}.
func OpenAPI(s Served, routes []Route) ([]byte, error) {
	if s.Definitions == nil || s.Software == "" || s.Version == "" || s.Base == "" {
		return nil, errors.New("OpenAPI document: definitions, software, version or base is missing")
	}
	d := &document{served: s, paths: object{}, schemas: searchSchemas(), typeSets: map[string]string{}, parameters: headerParameters()}
	if err := d.searchParameters(); err != nil {
		return nil, fmt.Errorf("OpenAPI document: %w", err)
	}
	for _, r := range routes {
		d.add(r)
	}
	if url := s.Security.Launch; url != "" {
		d.addLaunch(url)
	}
	return json.Marshal(object{
		"openapi": "3.1.0",
		"info": object{"title": s.Software, "version": s.Version, "summary": s.Description,
			"description": "FHIR R4 (4.0.1) over HTTP. The CapabilityStatement at /metadata says the same in FHIR's words."},
		"servers":  []object{{"url": s.Base}},
		"security": []object{{"bearer": []string{}}},
		"paths":    d.paths,
		"components": object{"parameters": d.parameters, "schemas": d.schemas, "responses": answers(),
			"securitySchemes": object{"bearer": object{"type": "http", "scheme": "bearer", "description": s.Security.Description}}},
	})
}

// document is an OpenAPI document under construction.
type document struct {
	served     Served
	paths      object
	parameters object
	schemas    object
	typeSets   map[string]string // types, joined → name of the path parameter
}

// searchParameters makes a query parameter of each search parameter of each
// type, and a form of all of them.
func (d *document) searchParameters() error {
	for _, r := range d.served.Resources {
		properties := object{}
		for _, code := range r.SearchParameters {
			p := d.served.Definitions.SearchParameter(r.Type, code)
			if p == nil {
				return fmt.Errorf("%s: R4 defines no search parameter %s", r.Type, code)
			}
			schema := reference("schemas", "search-"+p.Type)
			properties[code] = schema
			d.parameters[r.Type+"."+code] = object{"name": code, "in": "query", "description": p.URL, "schema": schema}
		}
		d.schemas["search."+r.Type] = object{"type": "object", "properties": properties,
			"additionalProperties": object{"type": "string", "description": "a parameter with a modifier or chain, _has, or a result parameter such as _count"}}
	}
	return nil
}

func reference(kind, name string) object { return object{"$ref": "#/components/" + kind + "/" + name} }

// add puts a route into the document: once, or once per type.
func (d *document) add(r Route) {
	if r.Path != "/:type" && r.Path != "/:type/_search" {
		d.put(r, templated(r.Path), "", nil)
		return
	}
	for _, resource := range d.served.Resources {
		if slices.Contains(d.types(r), resource.Type) {
			d.put(r, strings.Replace(r.Path, ":type", resource.Type, 1), resource.Type, resource.SearchParameters)
		}
	}
}

// types are those for which a route is served.
func (d *document) types(r Route) (types []string) {
	if op := operationOf(r); op != "" {
		return d.operationTypes(op, strings.Contains(r.Path, "/:id/"))
	}
	code := r.Code
	if code == "" && !r.Form && r.Method != http.MethodGet && r.Method != http.MethodHead {
		code = "update" // what makes conditional writes possible
	}
	for _, resource := range d.served.Resources {
		if code == "" || slices.Contains(resource.Interactions, code) {
			types = append(types, resource.Type)
		}
	}
	return types
}

func (d *document) put(r Route, path, typ string, search []string) {
	item, _ := d.paths[path].(object)
	if item == nil {
		item = object{}
		d.paths[path] = item
	}
	summary := r.Code
	if op := operationOf(r); op != "" {
		summary = "$" + op
	}
	if summary == "" {
		summary = strings.ToLower(r.Method) + " " + path
	}
	op := object{"summary": summary, "operationId": operationID(r.Method, path), "responses": responses(r)}
	if typ != "" {
		op["tags"] = []string{typ}
	}
	if r.Open {
		op["security"] = []object{}
	}
	if parameters := d.operationParameters(r, typ, search); len(parameters) > 0 {
		op["parameters"] = parameters
	}
	if body := d.requestBody(r, typ); body != nil {
		op["requestBody"] = body
	}
	item[strings.ToLower(r.Method)] = op
}

func (d *document) operationParameters(r Route, typ string, search []string) (parameters []object) {
	for _, segment := range strings.Split(r.Path, "/") {
		switch name, variable := strings.CutPrefix(segment, ":"); {
		case variable && name == "type" && typ == "":
			parameters = append(parameters, reference("parameters", d.typeParameter(d.types(r))))
		case variable && name != "type":
			parameters = append(parameters, reference("parameters", name))
		}
	}
	switch {
	case r.Method == http.MethodGet && search != nil:
		for _, code := range search {
			parameters = append(parameters, reference("parameters", typ+"."+code))
		}
	case typ != "" && !r.Form && r.Method != http.MethodPost:
		parameters = append(parameters, object{"name": "criteria", "in": "query", "style": "form", "explode": true,
			"schema": reference("schemas", "search."+typ)})
	}
	if r.Method == http.MethodGet {
		parameters = append(parameters, d.operationInputs(operationOf(r))...)
	}
	for _, name := range headersOf(r) {
		parameters = append(parameters, reference("parameters", name))
	}
	return parameters
}

// typeParameter is the path parameter for a set of types.
func (d *document) typeParameter(types []string) string {
	key := strings.Join(types, " ")
	if name := d.typeSets[key]; name != "" {
		return name
	}
	name := "type"
	if n := len(d.typeSets); n > 0 {
		name = fmt.Sprintf("type-%d", n+1)
	}
	d.typeSets[key] = name
	d.parameters[name] = object{"name": "type", "in": "path", "required": true, "schema": object{"type": "string", "enum": types}}
	return name
}

func (d *document) requestBody(r Route, typ string) object {
	content := object{}
	schema := reference("schemas", "Resource")
	switch {
	case r.Form:
		form := object{"schema": object{"type": "object"}}
		if typ != "" {
			form = object{"schema": reference("schemas", "search."+typ)}
		}
		return object{"content": object{"application/x-www-form-urlencoded": form}}
	case r.Patch:
		for _, media := range d.served.PatchFormats {
			content[media] = object{"schema": object{}}
		}
	case r.Method == http.MethodPost || r.Method == http.MethodPut:
		if r.Bundle {
			schema = reference("schemas", "Bundle")
		}
		content["application/fhir+json"] = object{"schema": schema}
	default:
		return nil
	}
	return object{"required": operationOf(r) == "", "content": content}
}

// templated turns /:type/:id into /{type}/{id}.
func templated(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		if name, variable := strings.CutPrefix(p, ":"); variable {
			parts[i] = "{" + name + "}"
		}
	}
	if path == "" {
		return "/"
	}
	return strings.Join(parts, "/")
}

func operationID(method, path string) string {
	return strings.ToLower(method) + strings.NewReplacer("/", "-", "{", "", "}", "", "$", "").Replace(path)
}
