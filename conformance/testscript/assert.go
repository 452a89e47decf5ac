package testscript

import (
	"errors"
	"mime"
	"slices"
	"strconv"
	"strings"
)

// responseCodes are the codes of TestScript.assert.response (R4
// valueset-assert-response-code-types).
var responseCodes = map[string]string{"okay": "200", "created": "201", "noContent": "204", "notModified": "304", "bad": "400",
	"forbidden": "403", "notFound": "404", "methodNotAllowed": "405", "conflict": "409", "gone": "410",
	"preconditionFailed": "412", "unprocessable": "422"}

// assert judges everything that an assertion says; nil when all of it holds.
func (x *run) assert(a *assertion) error {
	if err := x.subtests(a); err != errNoSubtest {
		return err
	}
	other := x.lastResponse
	if a.Direction == "request" {
		other = x.lastRequest
	}
	m, err := x.source(a.SourceID, other)
	if err != nil {
		return err
	}
	judged := false
	for _, check := range []struct {
		given bool
		judge func(*assertion, *message) error
	}{
		{a.Response != "", x.assertResponse},
		{a.ResponseCode != "", x.assertResponseCode},
		{a.ContentType != "", x.assertContentType},
		{a.HeaderField != "", x.assertHeader},
		{a.RequestMethod != "", x.assertMethod},
		{a.RequestURL != "", x.assertURL},
		{a.Resource != "", x.assertResource},
		{a.ResponseBody != nil, x.assertBody},
		{a.Expression != "" || a.Path != "", x.assertExpression},
		{a.MinimumID != "", x.assertMinimum},
		{a.NavigationLinks != nil && *a.NavigationLinks, x.assertLinks},
		{a.ValidateProfileID != "", func(*assertion, *message) error { return skip("conformance to a profile is not judged by this runner") }},
	} {
		if !check.given {
			continue
		}
		judged = true
		if err := check.judge(a, m); err != nil {
			return err
		}
	}
	if !judged {
		return errors.New("the assertion asserts nothing that is known here")
	}
	return nil
}

func (x *run) assertResponse(a *assertion, m *message) error {
	code, known := responseCodes[a.Response]
	if !known {
		return errors.New("the response code " + a.Response + " is not known")
	}
	return inContext("status", compare(a.Operator, []string{strconv.Itoa(m.status)}, code))
}

func (x *run) assertResponseCode(a *assertion, m *message) error {
	wanted, err := x.fill(a.ResponseCode)
	if err != nil {
		return err
	}
	operator := a.Operator
	if (operator == "" || operator == "equals") && strings.Contains(wanted, ",") {
		operator = "in"
	}
	return inContext("status", compare(operator, []string{strconv.Itoa(m.status)}, wanted))
}

func (x *run) assertContentType(a *assertion, m *message) error {
	found := m.header.Get("Content-Type")
	media, _, err := mime.ParseMediaType(found)
	if err != nil {
		media = found
	}
	wanted := mediaType(a.ContentType)
	switch a.Operator {
	case "", "equals", "in", "notEquals", "notIn":
		if w, _, err := mime.ParseMediaType(wanted); err == nil && !strings.Contains(wanted, ",") {
			wanted = w
		}
		return inContext("Content-Type", compare(a.Operator, []string{media}, wanted))
	}
	return inContext("Content-Type", compare(a.Operator, []string{found}, wanted))
}

func (x *run) assertHeader(a *assertion, m *message) error {
	found := m.header.Values(a.HeaderField)
	wanted, given, err := x.wanted(a, func(other *message) ([]string, error) { return other.header.Values(a.HeaderField), nil })
	if err != nil {
		return err
	}
	operator := a.Operator
	if !given && operator == "" {
		operator = "notEmpty"
	}
	return inContext("header "+a.HeaderField, compare(operator, found, wanted))
}

func (x *run) assertMethod(a *assertion, m *message) error {
	if m.method == "" && x.lastRequest != nil {
		m = x.lastRequest
	}
	return inContext("method", compare(a.Operator, []string{strings.ToLower(m.method)}, strings.ToLower(a.RequestMethod)))
}

func (x *run) assertURL(a *assertion, m *message) error {
	if x.lastRequest != nil && m.method == "" {
		m = x.lastRequest
	}
	wanted, err := x.fill(a.RequestURL)
	if err != nil {
		return err
	}
	return inContext("request URL", compare(a.Operator, []string{m.url}, wanted))
}

func (x *run) assertResource(a *assertion, m *message) error {
	tree, err := m.tree()
	if err != nil {
		return err
	}
	found, _ := tree["resourceType"].(string)
	return inContext("resource type", compare(a.Operator, []string{found}, a.Resource))
}

func (x *run) assertBody(a *assertion, m *message) error {
	wanted, err := x.fill(*a.ResponseBody)
	if err != nil {
		return err
	}
	return hideFound("body", compare(a.Operator, []string{string(m.body)}, wanted))
}

// assertExpression compares the values of an expression or path with a value
// or with those of another source; without either it must hold by itself.
func (x *run) assertExpression(a *assertion, m *message) error {
	found, err := x.evaluate(m, a.Expression, a.Path)
	if err != nil {
		return err
	}
	what := first(a.Expression, a.Path)
	wanted, given, err := x.wanted(a, func(other *message) ([]string, error) {
		return x.evaluate(other, a.CompareToSourceExpression, a.CompareToSourcePath)
	})
	switch {
	case err != nil:
		return err
	case given || a.Operator == "empty" || a.Operator == "notEmpty":
		return inContext(what, compare(a.Operator, found, wanted))
	case len(found) == 0 || len(found) == 1 && found[0] == "false":
		return differ("%s does not hold", what)
	}
	return nil
}

// wanted is the value to compare with: the assertion's, or that of another
// source.
func (x *run) wanted(a *assertion, of func(*message) ([]string, error)) (value string, given bool, err error) {
	if a.CompareToSourceID != "" {
		other, err := x.source(a.CompareToSourceID, nil)
		if err != nil {
			return "", false, err
		}
		values, err := of(other)
		if err != nil {
			return "", false, err
		}
		if len(values) == 0 {
			return "", false, differ("%s has no value to compare with", a.CompareToSourceID)
		}
		return values[0], true, nil
	}
	if a.Value == nil {
		return "", false, nil
	}
	value, err = x.fill(*a.Value)
	return value, true, err
}

// assertMinimum wants everything of the fixture in the body (R4
// testscript-definitions.html#minimumId).
func (x *run) assertMinimum(a *assertion, m *message) error {
	least, err := x.source(a.MinimumID, nil)
	if err != nil {
		return err
	}
	want, err := least.tree()
	if err != nil {
		return err
	}
	got, err := m.tree()
	if err != nil {
		return err
	}
	if missing := lacks(want, got, ""); missing != "" {
		return differ("%s of %s is not in the body", missing, a.MinimumID)
	}
	return nil
}

// lacks is the path of the first element that want has and got has not; arrays
// may hold more, in any order.
func lacks(want, got any, path string) string {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return path
		}
		for name, value := range w {
			if missing := lacks(value, g[name], path+"."+name); missing != "" {
				return strings.TrimPrefix(missing, ".")
			}
		}
		return ""
	case []any:
		g, ok := got.([]any)
		if !ok {
			return path
		}
		for i, value := range w {
			if !slices.ContainsFunc(g, func(v any) bool { return lacks(value, v, "x") == "" }) {
				return path + "[" + strconv.Itoa(i) + "]"
			}
		}
		return ""
	}
	if text(want) != text(got) {
		return path
	}
	return ""
}

// inContext says what a mismatch is about.
func inContext(what string, err error) error {
	var m mismatch
	if errors.As(err, &m) {
		return mismatch{what + " " + m.text}
	}
	return err
}

// hideFound drops the found value, which may be a whole body.
func hideFound(what string, err error) error {
	var m mismatch
	if errors.As(err, &m) {
		if _, after, ok := strings.Cut(m.text, "; wanted "); ok {
			return mismatch{what + " is not what is wanted: " + after}
		}
		return mismatch{what + " " + m.text}
	}
	return err
}
