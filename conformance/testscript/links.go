package testscript

import (
	"net/http"
	"net/url"
)

// assertLinks judges the navigation links of a Bundle (R4 http.html#paging):
// each has a relation of its own and a URL of this server, a searchset names
// itself, and what next, previous, first and last lead to is a Bundle of the
// same kind.
func (x *run) assertLinks(_ *assertion, m *message) error {
	bundle, err := m.tree()
	if err != nil {
		return err
	}
	if bundle["resourceType"] != "Bundle" {
		return differ("the body is no Bundle")
	}
	base, err := url.Parse(x.Base)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	links, _ := bundle["link"].([]any)
	for _, l := range links {
		link, _ := l.(map[string]any)
		relation, target := text(link["relation"]), text(link["url"])
		u, err := base.Parse(target)
		if relation == "" || target == "" || err != nil || seen[relation] {
			return differ("a link has no relation or URL of its own")
		}
		seen[relation] = true
		switch relation {
		case "next", "prev", "previous", "first", "last":
			if err := x.followLink(relation, u.String(), bundle["type"]); err != nil {
				return err
			}
		}
	}
	if bundle["type"] == "searchset" && !seen["self"] {
		return differ("the searchset has no link to itself")
	}
	return nil
}

func (x *run) followLink(relation, target string, kind any) error {
	page, err := x.send(&message{method: http.MethodGet, url: target, header: http.Header{"Accept": {"application/fhir+json"}}})
	if err != nil {
		return err
	}
	o, err := page.tree()
	if page.status != http.StatusOK || err != nil || o["resourceType"] != "Bundle" || o["type"] != kind {
		return differ("the link %s leads to no Bundle of the same kind", relation)
	}
	return nil
}
