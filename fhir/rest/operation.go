package rest

import (
	"cmp"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/fieldseal/fieldseal/fhir/interaction"
)

// operationRoutes are the routes of the operations' table.
func operationRoutes() (all []route) {
	for _, o := range interaction.Operations() {
		methods := post
		if !o.Changes {
			methods = slices.Concat(get, post)
		}
		for path, served := range map[string]bool{"/$" + o.Code: o.System, "/:type/$" + o.Code: o.Type, "/:type/:id/$" + o.Code: o.Instance} {
			if served && !slices.ContainsFunc(all, func(r route) bool { return r.path == path }) {
				all = append(all, route{methods: methods, path: path, operation: true, run: operate(o.Code)})
			}
		}
	}
	slices.SortFunc(all, func(a, b route) int { return strings.Compare(a.path, b.path) })
	return all
}

func operate(code string) func(*Handler, *gin.Context, interaction.Call, []byte) (*interaction.Answer, error) {
	return func(h *Handler, c *gin.Context, call interaction.Call, body []byte) (*interaction.Answer, error) {
		return h.Service.Operate(c.Request.Context(), call, interaction.Invocation{Code: code,
			Type: c.Param("type"), ID: c.Param("id"), Query: c.Request.URL.RawQuery, Body: body})
	}
}

// isOperation reports whether a path ends in the name of an operation, which
// is neither a type nor an id.
func isOperation(target string) bool { return strings.HasPrefix(path.Base(target), "$") }

// named reports whether any served operation has the name.
func named(code string) bool {
	return slices.ContainsFunc(interaction.Operations(), func(o interaction.Operation) bool { return o.Code == code })
}

// operations keeps /:type/:id and its like from taking what names an operation.
func (h *Handler) operations(c *gin.Context) {
	target := c.Request.URL.Path
	if !isOperation(target) {
		return
	}
	switch allow := h.allowed(target); {
	case len(allow) == 0 && !named(path.Base(target)[1:]):
		h.outcome(c, http.StatusBadRequest, "not-supported", "there is no operation of this name")
	case len(allow) == 0:
		h.outcome(c, http.StatusNotFound, "not-supported", "this operation is not served here")
	case !slices.Contains(allow, c.Request.Method):
		h.noMethod(c, allow)
		c.Abort()
	}
}

// stream writes the chunks of an answer as they are released. What fails on
// the way cuts the connection off, so that nobody takes a part for the whole.
func (h *Handler) stream(c *gin.Context, f format, a *interaction.Answer) {
	header := c.Writer.Header()
	header.Set("Content-Type", cmp.Or(f.media, fhirJSON))
	header.Set("Cache-Control", "no-store")
	header.Add("Vary", "Accept, Accept-Charset, Accept-Encoding")
	var to io.Writer = c.Writer
	var z compressor
	if f.coding != "" {
		header.Set("Content-Encoding", f.coding)
		pool := pool(f.coding)
		z = pool.Get().(compressor)
		defer pool.Put(z)
		z.Reset(c.Writer)
		to = z
	}
	control := http.NewResponseController(c.Writer)
	c.Status(a.Status())
	for chunk, err := range a.Chunks(c.Request.Context()) {
		if c.Request.Method == http.MethodHead {
			c.Writer.WriteHeaderNow()
			return
		}
		if err == nil {
			_ = control.SetWriteDeadline(time.Now().Add(max(h.Timeout, time.Second))) // who does not read is cut off
			_, err = to.Write(chunk)
		}
		if err == nil && z != nil {
			err = z.Flush()
		}
		if err == nil {
			err = control.Flush()
		}
		if err != nil {
			panic(http.ErrAbortHandler)
		}
	}
	if z != nil && z.Close() != nil {
		panic(http.ErrAbortHandler)
	}
	_ = control.SetWriteDeadline(time.Time{})
}
