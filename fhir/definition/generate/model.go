package main

// model is what the registry holds, in the order in which it is written.
type model struct {
	types        []*typeDef
	params       []*paramDef
	compartments []*compartmentDef
	operations   []*operationDef
	valueSets    []*valueSetDef
}

// The kinds as package definition numbers them.
const (
	kindPrimitive = iota
	kindComplex
	kindResource
	kindBackbone
)

type typeDef struct {
	name, base, regex, security string
	kind                        int
	abstract                    bool
	elements                    []*elementDef
}

type elementDef struct {
	path, name, fiveWs     string
	choice, modifier, summ bool
	min, max               int // max -1 = *
	types                  []typeRefDef
	strength, valueSet     string
}

type typeRefDef struct {
	code, typeName string
	targets        []string
}

type paramDef struct {
	url, code, typ, expression               string
	base, target, modifiers, comparators     []string
	componentDefinition, componentExpression []string
	multipleOr, multipleAnd                  bool
}

type compartmentDef struct {
	code, url string
	resources []string
	params    [][]string
}

type operationDef struct {
	name, url, code                string
	system, typ, instance, affects bool
	query                          bool
	resources                      []string
	parameters                     []*operationParamDef
}

type operationParamDef struct {
	name, use, typ, searchType string
	min, max                   int
	targets                    []string
	parts                      []*operationParamDef
}

type valueSetDef struct {
	url     string
	systems []systemDef
}

type systemDef struct {
	url   string
	codes []string
}
