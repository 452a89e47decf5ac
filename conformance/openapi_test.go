package conformance_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/fieldseal/fieldseal/conformance"
)

func someRoutes() []conformance.Route {
	return []conformance.Route{
		{Method: "GET", Path: "/metadata", Open: true},
		{Method: "POST", Path: "", Code: "transaction", Bundle: true},
		{Method: "GET", Path: "/:type", Code: "search-type"}, {Method: "HEAD", Path: "/:type", Code: "search-type"},
		{Method: "POST", Path: "/:type/_search", Form: true},
		{Method: "POST", Path: "/:type", Code: "create"},
		{Method: "PUT", Path: "/:type"},
		{Method: "GET", Path: "/:type/:id", Code: "read"},
		{Method: "PATCH", Path: "/:type/:id", Code: "patch", Patch: true},
		{Method: "DELETE", Path: "/:type/:id", Code: "delete"},
		{Method: "GET", Path: "/:type/:id/_history/:version", Code: "vread"},
		{Method: "GET", Path: "/:type/:id/$everything"}, {Method: "GET", Path: "/:type/$everything"}, {Method: "POST", Path: "/:type/:id/$everything"},
	}
}

func TestOpenAPIIsValid(t *testing.T) { // OpenAPI 3.1
	t.Parallel()
	s := everything()
	for i := range s.Resources {
		if typ := s.Resources[i].Type; typ == "Patient" || typ == "Encounter" {
			s.Resources[i].Operations = []string{"everything"}
		}
		if s.Resources[i].Type == "AuditEvent" {
			s.Resources[i].Operations = nil
			s.Resources[i].Interactions, s.Resources[i].SearchParameters = []string{"read", "search-type"}, []string{"date"}
		}
	}
	b, err := conformance.OpenAPI(s, someRoutes())
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(b)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if launch := doc.Paths.Value("/launch"); launch == nil || launch.Post == nil || launch.Servers[0].URL != "https://ehr.example/oauth" {
		t.Error("the launch of an EHR is not described")
	}
	patient, audit := doc.Paths.Value("/Patient"), doc.Paths.Value("/AuditEvent")
	birthdate := patient.Get.Parameters.GetByInAndName("query", "birthdate")
	if birthdate == nil || !strings.Contains(birthdate.Schema.Ref, "search-date") {
		t.Errorf("birthdate: %+v", birthdate)
	}
	if patient.Post == nil || patient.Put == nil || audit.Get == nil || audit.Post != nil || audit.Put != nil {
		t.Error("what is served for a type and what is not")
	}
	everything := doc.Paths.Value("/{type}/{id}/$everything")
	if start := everything.Get.Parameters.GetByInAndName("query", "start"); start == nil || everything.Get.Summary != "$everything" || everything.Post.RequestBody.Value.Required {
		t.Errorf("$everything: %+v", everything.Get.Parameters)
	}
	for path, want := range map[string][]any{"/{type}/{id}/$everything": {"Encounter", "Patient"}, "/{type}/$everything": {"Patient"}} {
		if got := doc.Paths.Value(path).Get.Parameters.GetByInAndName("path", "type").Schema.Value.Enum; !slices.Equal(got, want) {
			t.Errorf("%s: %v", path, got)
		}
	}
	ids := map[string]bool{}
	for _, item := range doc.Paths.Map() {
		for _, op := range item.Operations() {
			if ids[op.OperationID] {
				t.Errorf("operationId %s twice", op.OperationID)
			}
			ids[op.OperationID] = true
		}
	}
	types := doc.Paths.Value("/{type}/{id}").Patch.Parameters.GetByInAndName("path", "type").Schema.Value.Enum
	for _, typ := range types {
		if typ == "AuditEvent" {
			t.Error("AuditEvent can be patched")
		}
	}
	if len(types) < 140 || doc.Paths.Value("/metadata").Get.Security == nil {
		t.Errorf("%d types", len(types))
	}
}

func TestOpenAPIRefusesWhatIsUnknown(t *testing.T) {
	t.Parallel()
	s := minimal()
	s.Resources = []conformance.Resource{{Type: "Patient", SearchParameters: []string{"shoe-size"}}}
	if _, err := conformance.OpenAPI(s, nil); err == nil {
		t.Error("an unknown parameter is claimed")
	}
	if _, err := conformance.OpenAPI(conformance.Served{}, nil); err == nil {
		t.Error("a document about nothing")
	}
	b, err := conformance.OpenAPI(minimal(), nil)
	if err != nil || !json.Valid(b) || !strings.Contains(string(b), `"paths":{}`) {
		t.Errorf("%v %.200s", err, b)
	}
}
