package suite

import (
	"slices"
	"strings"

	"golang.org/x/net/html"
)

type form struct {
	action, method string
	fields         []field
}

// field is a control of a form (HTML §4.10).
type field struct {
	name, kind, value, autocomplete, label string
	checked                                bool // of a box, or chosen of a list
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
