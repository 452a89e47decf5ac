package testscript

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Script is a TestScript (R4 testscript.html), as far as it is executed.
type Script struct {
	ID       string     `json:"id"`
	Name     string     `json:"name"`
	Title    string     `json:"title"`
	Fixtures []fixture  `json:"fixture"`
	Vars     []variable `json:"variable"`
	Setup    part       `json:"setup"`
	Tests    []part     `json:"test"`
	Teardown part       `json:"teardown"`

	Contained []json.RawMessage `json:"contained"`

	File string `json:"-"` // where it was read
}

type fixture struct {
	ID         string `json:"id"`
	Autocreate bool   `json:"autocreate"`
	Autodelete bool   `json:"autodelete"`
	Resource   struct {
		Reference string `json:"reference"`
	} `json:"resource"`
}

type variable struct {
	Name         string `json:"name"`
	DefaultValue string `json:"defaultValue"`
	Expression   string `json:"expression"`
	HeaderField  string `json:"headerField"`
	Path         string `json:"path"`
	SourceID     string `json:"sourceId"`
}

// part is the setup, one test or the teardown.
type part struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Actions []action `json:"action"`
}

type action struct {
	Operation *operation `json:"operation"`
	Assert    *assertion `json:"assert"`
}

type operation struct {
	Type struct {
		Code string `json:"code"`
	} `json:"type"`
	Resource         string `json:"resource"`
	Label            string `json:"label"`
	Description      string `json:"description"`
	Accept           string `json:"accept"`
	ContentType      string `json:"contentType"`
	EncodeRequestURL *bool  `json:"encodeRequestUrl"`
	Method           string `json:"method"`
	Params           string `json:"params"`
	RequestHeader    []struct {
		Field string `json:"field"`
		Value string `json:"value"`
	} `json:"requestHeader"`
	RequestID  string `json:"requestId"`
	ResponseID string `json:"responseId"`
	SourceID   string `json:"sourceId"`
	TargetID   string `json:"targetId"`
	URL        string `json:"url"`
}

type assertion struct {
	Extension                 []extension `json:"extension"`
	Label                     string      `json:"label"`
	Description               string      `json:"description"`
	Direction                 string      `json:"direction"`
	CompareToSourceID         string      `json:"compareToSourceId"`
	CompareToSourceExpression string      `json:"compareToSourceExpression"`
	CompareToSourcePath       string      `json:"compareToSourcePath"`
	ContentType               string      `json:"contentType"`
	Expression                string      `json:"expression"`
	HeaderField               string      `json:"headerField"`
	MinimumID                 string      `json:"minimumId"`
	NavigationLinks           *bool       `json:"navigationLinks"`
	Operator                  string      `json:"operator"`
	Path                      string      `json:"path"`
	RequestMethod             string      `json:"requestMethod"`
	RequestURL                string      `json:"requestURL"`
	Resource                  string      `json:"resource"`
	Response                  string      `json:"response"`
	ResponseBody              *string     `json:"responseBody"` // not of R4
	ResponseCode              string      `json:"responseCode"`
	SourceID                  string      `json:"sourceId"`
	ValidateProfileID         string      `json:"validateProfileId"`
	Value                     *string     `json:"value"`
	WarningOnly               bool        `json:"warningOnly"`
}

type extension struct {
	URL          string      `json:"url"`
	ValueString  string      `json:"valueString"`
	ValueBoolean bool        `json:"valueBoolean"`
	Extension    []extension `json:"extension"`
}

func (s *Script) String() string {
	for _, name := range []string{s.Name, s.ID, filepath.Base(s.File)} {
		if name != "" {
			return name
		}
	}
	return "TestScript"
}

// ErrXML means that a script is written in XML.
var ErrXML = errors.New("scripts are read in JSON")

// Load reads the scripts of files and folders. In folders, JSON files that hold
// another resource (fixtures) are passed over; a named file must be a script.
// All problems are reported at once.
func Load(paths ...string) (scripts []*Script, err error) {
	var problems []error
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		if !info.IsDir() {
			s, err := read(path)
			if err == nil && s == nil {
				err = errors.New("no TestScript")
			}
			if err != nil {
				problems = append(problems, fmt.Errorf("%s: %w", path, err))
				continue
			}
			scripts = append(scripts, s)
			continue
		}
		problems = append(problems, filepath.WalkDir(path, func(file string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(file) != ".json" {
				return err
			}
			s, err := read(file)
			if err != nil {
				problems = append(problems, fmt.Errorf("%s: %w", file, err))
			} else if s != nil {
				scripts = append(scripts, s)
			}
			return nil
		}))
	}
	slices.SortStableFunc(scripts, func(a, b *Script) int { return strings.Compare(a.File, b.File) })
	return scripts, errors.Join(problems...)
}

// read returns nil for another resource.
func read(path string) (*Script, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(strings.TrimSpace(strings.TrimPrefix(string(b), "\ufeff")), "<") {
		return nil, ErrXML
	}
	var kind struct {
		ResourceType string `json:"resourceType"`
	}
	if err := json.Unmarshal(b, &kind); err != nil {
		return nil, err
	}
	if kind.ResourceType != "TestScript" {
		return nil, nil
	}
	s := &Script{File: path}
	if err := json.Unmarshal(b, s); err != nil {
		return nil, err
	}
	return s, nil
}
