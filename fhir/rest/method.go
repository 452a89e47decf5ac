package rest

import (
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"
)

// noRoute answers what the router does not serve: OPTIONS, a method that the
// path does not have, or a path that nothing has.
func (h *Handler) noRoute(c *gin.Context) {
	allow := h.allowed(c.Request.URL.Path)
	if len(allow) == 0 && c.Request.Method != http.MethodTrace {
		h.outcome(c, http.StatusNotFound, "not-found", "no such resource path")
		return
	}
	h.noMethod(c, allow)
}

// noMethod names the methods of the path (RFC 9110 §9.3.7, §15.5.6).
func (h *Handler) noMethod(c *gin.Context, allow []string) {
	c.Header("Allow", strings.Join(allow, ", "))
	if c.Request.Method == http.MethodOptions {
		h.options(c)
		return
	}
	h.outcome(c, http.StatusMethodNotAllowed, "not-supported", "this method is not served here")
}

// documents keeps /:type and /:type/:id from taking the other methods of a path
// that only looks like a type or an id, such as /metadata and /_history.
func (h *Handler) documents(c *gin.Context) {
	reserved := slices.ContainsFunc(c.Params, func(p gin.Param) bool { return strings.HasPrefix(p.Value, "_") })
	if reserved || h.open[c.Request.URL.Path] && !slices.Contains(get, c.Request.Method) {
		h.noRoute(c)
		c.Abort()
	}
}

// allowed are the methods of a path, sorted, with OPTIONS; none when no route
// has the path.
func (h *Handler) allowed(path string) []string {
	all := []string{http.MethodOptions}
	if h.open[path] || path == "/healthz" || path == "/readyz" {
		all = append(all, get...)
	} else if below, ok := strings.CutPrefix(path, h.Prefix); ok {
		for _, r := range routes {
			if r.operation == isOperation(below) && matches(r.path, below) {
				all = append(all, r.methods...)
			}
		}
	}
	if len(all) == 1 {
		return nil
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// matches reports whether a path fits a route's, segment by segment.
func matches(route, path string) bool {
	want, have := strings.Split(route, "/"), strings.Split(path, "/")
	return len(want) == len(have) && !slices.ContainsFunc(want, func(w string) bool {
		h := have[0]
		have = have[1:]
		return w != h && (h == "" || h[0] == '_' || !strings.HasPrefix(w, ":"))
	})
}

// allMethods are the methods of all routes, for refusals before routing.
func allMethods() string {
	all := []string{http.MethodOptions}
	for _, r := range routes {
		all = append(all, r.methods...)
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), ", ")
}
