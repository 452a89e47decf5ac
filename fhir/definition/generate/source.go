package main

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// bundles holds the definitions that the generator uses, by kind.
type bundles struct {
	structures   []*structureJSON
	parameters   []*parameterJSON
	compartments []*compartmentJSON
	operations   []*operationJSON
	codeSystems  map[string]*codeSystemJSON
	valueSets    map[string]*valueSetJSON
	expansions   map[string]*valueSetJSON
}

// sources are the official files in reading order.
var sources = []string{
	"profiles-types", "profiles-resources", "search-parameters",
	"valuesets", "v2-tables", "v3-codesystems", "expansions", "compartmentdefinition-relatedperson",
}

func readBundles(dir string) (*bundles, error) {
	b := &bundles{
		codeSystems: map[string]*codeSystemJSON{},
		valueSets:   map[string]*valueSetJSON{},
		expansions:  map[string]*valueSetJSON{},
	}
	for _, name := range sources {
		raw, err := readFile(filepath.Join(dir, name+".json"))
		if err != nil {
			return nil, err
		}
		if err := b.addFile(name, raw); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return b, nil
}

// readFile reads path, or path.gz.
func readFile(path string) ([]byte, error) {
	if raw, err := os.ReadFile(path); err == nil {
		return raw, nil
	}
	f, err := os.Open(path + ".gz")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

func (b *bundles) addFile(name string, raw []byte) error {
	var bundle struct {
		ResourceType string `json:"resourceType"`
		Entry        []struct {
			Resource json.RawMessage `json:"resource"`
		} `json:"entry"`
	}
	if err := json.Unmarshal(raw, &bundle); err != nil {
		return err
	}
	if bundle.ResourceType != "Bundle" {
		return b.add(name, raw)
	}
	for _, e := range bundle.Entry {
		if err := b.add(name, e.Resource); err != nil {
			return err
		}
	}
	return nil
}

func (b *bundles) add(file string, raw json.RawMessage) error {
	var head struct {
		ResourceType string `json:"resourceType"`
		URL          string `json:"url"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return err
	}
	switch head.ResourceType {
	case "StructureDefinition":
		return appendJSON(&b.structures, raw)
	case "SearchParameter":
		return appendJSON(&b.parameters, raw)
	case "CompartmentDefinition":
		for _, c := range b.compartments {
			if c.URL == head.URL { // RelatedPerson stands in two official files
				return nil
			}
		}
		return appendJSON(&b.compartments, raw)
	case "OperationDefinition":
		return appendJSON(&b.operations, raw)
	case "CodeSystem":
		if file == "expansions" {
			return nil
		}
		return put(b.codeSystems, head.URL, raw)
	case "ValueSet":
		if file == "expansions" {
			return put(b.expansions, head.URL, raw)
		}
		return put(b.valueSets, head.URL, raw)
	case "CapabilityStatement":
		return nil // the base capability statements define nothing
	}
	return fmt.Errorf("unexpected %s", head.ResourceType)
}

func appendJSON[T any](dst *[]*T, raw []byte) error {
	v := new(T)
	*dst = append(*dst, v)
	return json.Unmarshal(raw, v)
}

func put[T any](dst map[string]*T, url string, raw []byte) error {
	v := new(T)
	dst[url] = v
	return json.Unmarshal(raw, v)
}

// tail is the last segment of a canonical URL without its version.
func tail(url string) string {
	url, _, _ = strings.Cut(url, "|")
	return url[strings.LastIndexByte(url, '/')+1:]
}
