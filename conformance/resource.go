package conformance

import (
	"slices"
	"strings"

	"github.com/fieldseal/fieldseal/fhir/definition"
	"github.com/fieldseal/fieldseal/fhir/model"
)

func compare(a, b string) int { return strings.Compare(a, b) }

func (b *builder) resource(r Resource) model.CapabilityStatementRestResource {
	if !b.reg.IsResource(r.Type) {
		b.fail("%q is no resource type", r.Type)
		return model.CapabilityStatementRestResource{}
	}
	b.consistent(r)
	out := model.CapabilityStatementRestResource{
		Type:              code[model.ResourceType](b, r.Type),
		Versioning:        optionalCode[model.ResourceVersionPolicy](b, r.Versioning),
		ReadHistory:       claimed(r.ReadHistory),
		UpdateCreate:      claimed(r.UpdateCreate),
		ConditionalCreate: claimed(r.ConditionalCreate),
		ConditionalUpdate: claimed(r.ConditionalUpdate),
		ConditionalRead:   optionalCode[model.ConditionalReadStatus](b, r.ConditionalRead),
		ConditionalDelete: optionalCode[model.ConditionalDeleteStatus](b, r.ConditionalDelete),
		SearchInclude:     r.Includes,
		SearchRevInclude:  r.RevIncludes,
		SearchParam:       b.searchParameters(r),
		Operation:         b.operations(r.Type, r.Operations),
	}
	for _, c := range r.Interactions {
		out.Interaction = append(out.Interaction, model.CapabilityStatementRestResourceInteraction{Code: code[model.TypeRestfulInteraction](b, c)})
	}
	for _, c := range r.ReferencePolicy {
		out.ReferencePolicy = append(out.ReferencePolicy, code[model.ReferenceHandlingPolicy](b, c))
	}
	return out
}

// consistent refuses claims that need an interaction which is not served.
func (b *builder) consistent(r Resource) {
	for _, c := range []struct {
		claim       string
		made        bool
		interaction string
	}{
		{"search parameters", len(r.SearchParameters) > 0, "search-type"},
		{"includes", len(r.Includes)+len(r.RevIncludes) > 0, "search-type"},
		{"readHistory", r.ReadHistory, "vread"},
		{"updateCreate", r.UpdateCreate, "update"},
		{"conditionalCreate", r.ConditionalCreate, "create"},
		{"conditionalUpdate", r.ConditionalUpdate, "update"},
		{"conditionalRead", r.ConditionalRead != "" && r.ConditionalRead != "not-supported", "read"},
		{"conditionalDelete", r.ConditionalDelete != "" && r.ConditionalDelete != "not-supported", "delete"},
	} {
		if c.made && !slices.Contains(r.Interactions, c.interaction) {
			b.fail("%s: %s without %s", r.Type, c.claim, c.interaction)
		}
	}
}

func (b *builder) searchParameters(r Resource) []model.CapabilityStatementRestResourceSearchParam {
	codes := slices.Clone(r.SearchParameters)
	slices.Sort(codes)
	var out []model.CapabilityStatementRestResourceSearchParam
	for _, c := range slices.Compact(codes) {
		p := b.reg.SearchParameter(r.Type, c)
		if p == nil {
			b.fail("%s: R4 defines no search parameter %s", r.Type, c)
			continue
		}
		out = append(out, model.CapabilityStatementRestResourceSearchParam{
			Name: p.Code, Definition: optional(p.URL), Type: code[model.SearchParamType](b, p.Type),
		})
	}
	return out
}

// operations resolves codes that may be invoked at the level: on the system
// for an empty type, else on the type or its instances.
func (b *builder) operations(resourceType string, codes []string) []model.CapabilityStatementRestResourceOperation {
	var out []model.CapabilityStatementRestResourceOperation
	for _, c := range codes {
		all := slices.Concat(b.reg.Operations(), b.own)
		i := slices.IndexFunc(all, func(o *definition.Operation) bool {
			if o.Code != c || o.Query {
				return false
			}
			if resourceType == "" {
				return o.System
			}
			return (o.Type || o.Instance) && (slices.Contains(o.Resources, resourceType) || slices.Contains(o.Resources, "Resource"))
		})
		if i < 0 {
			b.fail("%s: there is no definition of the operation $%s here", resourceType, c)
			continue
		}
		out = append(out, model.CapabilityStatementRestResourceOperation{Name: c, Definition: all[i].URL})
	}
	return out
}
