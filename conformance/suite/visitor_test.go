package suite

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
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

func mustParse(t testing.TB, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
