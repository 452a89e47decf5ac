package suite

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// visitor is a person with a browser that runs no script: cookies, redirects
// and forms. It reads a page as it is marked up: a field is found by what its
// autocomplete attribute or its label says, a form by the text of its button.
type visitor struct {
	t    testing.TB
	http *http.Client
	page page
	left *url.URL // where a redirect led away from the server
}

// page is the page that the visitor looks at.
type page struct {
	url    *url.URL
	status int
	header http.Header
	body   string
	text   string // of the body, without markup
	forms  []form
}

type form struct {
	action, method string
	fields         []field
}

// field is a control of a form (HTML §4.10).
type field struct {
	name, kind, value, autocomplete, label string
	checked                                bool // of a box, or chosen of a list
}

func newVisitor(t testing.TB) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := httpClient(nil)
	c.Jar = jar
	t.Cleanup(c.CloseIdleConnections)
	return &visitor{t: t, http: c}
}

// open visits an address.
func (v *visitor) open(address string) *visitor {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), http.MethodGet, address, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	return v.follow(r)
}

// follow sends a request and goes where redirects of the same origin lead.
func (v *visitor) follow(r *http.Request) *visitor {
	v.t.Helper()
	v.left = nil
	for range 20 {
		v.load(r)
		to, err := url.Parse(v.page.header.Get("Location"))
		if v.page.status < 300 || v.page.status > 399 || err != nil {
			return v
		}
		if to = r.URL.ResolveReference(to); to.Host != r.URL.Host {
			v.left = to
			return v
		}
		if r, err = http.NewRequestWithContext(v.t.Context(), http.MethodGet, to.String(), nil); err != nil {
			v.t.Fatal(err)
		}
	}
	v.t.Fatal("the redirects do not end")
	return nil
}

func (v *visitor) load(r *http.Request) {
	v.t.Helper()
	resp, err := v.http.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	v.page = page{url: r.URL, status: resp.StatusCode, header: resp.Header, body: string(b)}
	if root, err := html.Parse(strings.NewReader(v.page.body)); err == nil {
		v.page.text, v.page.forms = strings.Join(strings.Fields(textOf(root)), " "), formsOf(root)
	}
}

// press submits the form with the button, after it was filled in: values are by
// autocomplete or label of a field, of a box by how its label begins. For a box,
// "on" and "off" are values.
func (v *visitor) press(button string, values map[string]string) *visitor {
	v.t.Helper()
	for _, f := range v.page.forms {
		for _, b := range f.fields {
			if b.kind == "submit" && b.label == button {
				return v.submit(f, b, values)
			}
		}
	}
	v.t.Fatalf("no button %q on %s: %.3000s", button, v.page.url.Path, v.page.text)
	return nil
}

func (v *visitor) submit(f form, button field, values map[string]string) *visitor {
	v.t.Helper()
	data, used := url.Values{}, map[string]bool{}
	if button.name != "" {
		data.Add(button.name, button.value)
	}
	for _, c := range f.chosen(values) {
		for by, given := range values {
			if c.is(by) {
				used[by] = true
				c.fill(given)
			}
		}
		if c.sent() {
			data.Add(c.name, c.value)
		}
	}
	for by := range values {
		if !used[by] {
			v.t.Fatalf("no field %q on %s: %+v", by, v.page.url.Path, f.fields)
		}
	}
	return v.post(v.page.url.ResolveReference(mustParse(v.t, f.action)).String(), data)
}

// post sends a form as a browser does from the page it looks at.
func (v *visitor) post(address string, data url.Values) *visitor {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), http.MethodPost, address, strings.NewReader(data.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if v.page.url != nil {
		r.Header.Set("Origin", v.page.url.Scheme+"://"+v.page.url.Host)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	return v.follow(r)
}

// choose presses the button that has the value.
func (v *visitor) choose(value string) *visitor {
	v.t.Helper()
	for _, f := range v.page.forms {
		for _, b := range f.fields {
			if b.kind == "submit" && b.value == value {
				return v.submit(f, b, nil)
			}
		}
	}
	v.t.Fatalf("nothing to choose with the value on %s: %.3000s", v.page.url.Path, v.page.text)
	return nil
}

// chosen are the fields after the radio buttons whose labels stand among the
// values were pressed, each of which releases the others of its name.
func (f form) chosen(values map[string]string) []field {
	fields := slices.Clone(f.fields)
	for _, pressed := range f.fields {
		if pressed.kind != "radio" || values[pressed.label] != "on" {
			continue
		}
		for i, c := range fields {
			if c.kind == "radio" && c.name == pressed.name {
				fields[i].checked = c.value == pressed.value
			}
		}
	}
	return fields
}

func (c *field) is(by string) bool {
	switch c.kind {
	case "hidden", "submit":
		return false
	case "checkbox":
		return strings.HasPrefix(c.label, by)
	}
	return c.autocomplete == by || c.label == by
}

func (c *field) fill(given string) {
	switch {
	case c.kind == "checkbox":
		c.checked = given == "on"
	case c.kind == "radio": // chosen has set it
	case c.kind == "option":
		c.checked = c.value == given || c.label == given
	default:
		c.value = given
	}
}

func (c *field) sent() bool {
	switch c.kind {
	case "submit", "button", "reset", "image":
		return false
	case "checkbox", "radio", "option":
		return c.checked && c.name != ""
	}
	return c.name != ""
}

func mustParse(t testing.TB, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// find visits the nodes below one, in order.
func find(n *html.Node, visit func(*html.Node)) {
	for d := range n.Descendants() {
		if d.Type == html.ElementNode {
			visit(d)
		}
	}
}

func attribute(n *html.Node, name string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode && !slices.Contains([]string{"script", "style"}, d.Parent.Data) {
			b.WriteString(d.Data + " ")
		}
	}
	return b.String()
}

func formsOf(root *html.Node) (all []form) {
	labels := map[string]string{}
	find(root, func(n *html.Node) {
		if id, ok := attribute(n, "for"); n.Data == "label" && ok {
			labels[id] = words(n)
		}
	})
	find(root, func(n *html.Node) {
		if n.Data != "form" {
			return
		}
		f := form{}
		f.action, _ = attribute(n, "action")
		f.method, _ = attribute(n, "method")
		find(n, func(c *html.Node) {
			if got, ok := fieldOf(c, labels); ok {
				f.fields = append(f.fields, got)
			}
		})
		all = append(all, f)
	})
	return all
}

func words(n *html.Node) string { return strings.Join(strings.Fields(textOf(n)), " ") }

func fieldOf(n *html.Node, labels map[string]string) (c field, ok bool) {
	if !slices.Contains([]string{"input", "button", "textarea", "option"}, n.Data) {
		return c, false
	}
	id, _ := attribute(n, "id")
	c.name, _ = attribute(n, "name")
	c.kind, _ = attribute(n, "type")
	c.value, _ = attribute(n, "value")
	c.autocomplete, _ = attribute(n, "autocomplete")
	_, c.checked = attribute(n, "checked")
	c.label = labels[id]
	if around := n.Parent; c.label == "" && around.Data == "label" {
		c.label = words(around)
	}
	switch {
	case n.Data == "button":
		c.label = words(n)
		if c.kind == "" {
			c.kind = "submit"
		}
	case n.Data == "textarea":
		c.value = textOf(n)
	case n.Data == "option":
		c.kind, c.label = "option", words(n)
		c.name, _ = attribute(n.Parent, "name")
		_, c.checked = attribute(n, "selected")
	case c.kind == "submit":
		c.label = c.value
	case (c.kind == "checkbox" || c.kind == "radio") && c.value == "":
		c.value = "on"
	}
	return c, true
}
