package interaction

import (
	"fmt"

	"github.com/fieldseal/fieldseal/fhir/definition"
)

// OwnOperations are the definitions of the served operations that R4 does not
// define, for a FHIR base. Each is served at its URL.
func OwnOperations(base string) []*definition.Operation {
	in := func(name, typ string, least int) definition.OperationParameter {
		return definition.OperationParameter{Name: name, Use: "in", Type: typ, Min: least, Max: 1}
	}
	out := func(name, typ string) definition.OperationParameter {
		return definition.OperationParameter{Name: name, Use: "out", Type: typ, Min: 1, Max: 1}
	}
	answer := []definition.OperationParameter{out("grant", "string"), out("until", "instant")}
	return []*definition.Operation{
		{Name: "BreakGlass", URL: base + "/OperationDefinition/" + ownID("break-glass"), Code: "break-glass", Instance: true, AffectsState: true,
			Resources: []string{"Patient"}, Parameters: append([]definition.OperationParameter{in("reason", "code", 1), in("text", "string", 1), in("minutes", "integer", 0)}, answer...)},
		{Name: "BreakGlassEnd", URL: base + "/OperationDefinition/" + ownID("break-glass-end"), Code: "break-glass-end", Instance: true, AffectsState: true,
			Resources: []string{"Patient"}, Parameters: append([]definition.OperationParameter{in("grant", "string", 1)}, answer...)},
	}
}

func ownID(code string) string { return "fieldseal-" + code }

// ownDefinition is the OperationDefinition of an own operation, nil when there
// is none of the id.
func (s *Service) ownDefinition(id string) []byte {
	for _, o := range s.own {
		if ownID(o.Code) == id {
			return renderOperation(o)
		}
	}
	return nil
}

func renderOperation(o *definition.Operation) []byte {
	b := fmt.Appendf(nil, `{"resourceType":"OperationDefinition","id":%q,"url":%q,"name":%q,"status":"active","kind":"operation","affectsState":%t,"code":%q,"resource":[`,
		ownID(o.Code), o.URL, o.Name, o.AffectsState, o.Code)
	for i, r := range o.Resources {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, "%q", r)
	}
	b = fmt.Appendf(b, `],"system":%t,"type":%t,"instance":%t,"parameter":[`, o.System, o.Type, o.Instance)
	for i, p := range o.Parameters {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `{"name":%q,"use":%q,"min":%d,"max":"%d","type":%q}`, p.Name, p.Use, p.Min, p.Max, p.Type)
	}
	return append(b, "]}"...)
}
