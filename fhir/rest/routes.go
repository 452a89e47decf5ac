package rest

import (
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/fieldseal/fieldseal/fhir/interaction"
)

// Level says where an interaction stands in a CapabilityStatement.
type Level uint8

// The levels of interactions.
const (
	Open     Level = iota // needs no token, no interaction code
	System                // rest.interaction
	Type                  // rest.resource.interaction
	ReadOnly              // as Type, and served for AuditEvent as well
	Ability               // a statement of rest.resource that is no interaction
)

// What a route may state as an Ability, by the names of R4's elements.
const (
	ConditionalCreate = "conditionalCreate"
	ConditionalRead   = "conditionalRead"
	ConditionalUpdate = "conditionalUpdate"
	ConditionalDelete = "conditionalDelete"
	ConditionalPatch  = "conditionalPatch" // R4 states it of no type
	ReadHistory       = "readHistory"
	UpdateCreate      = "updateCreate"
)

// Interaction is one served interaction by R4's code
// (valueset-restful-interaction, system-restful-interaction).
type Interaction struct {
	Level Level
	Code  string
}

// route is one line of the routing table.
type route struct {
	methods   []string
	path      string
	serves    []Interaction
	bundle    bool                             // the body may be as large as a Bundle
	form      bool                             // the body is a form of search parameters, not a resource
	patch     bool                             // the body is a patch
	operation bool                             // the body is Parameters, or nothing
	content   bool                             // a Binary comes and goes as bytes, too
	open      func(h *Handler, c *gin.Context) // instead of run: needs no token
	run       func(h *Handler, c *gin.Context, call interaction.Call, body []byte) (*interaction.Answer, error)
}

var (
	get  = []string{http.MethodGet, http.MethodHead}
	post = []string{http.MethodPost}
	put  = []string{http.MethodPut}

	patch  = []string{http.MethodPatch}
	remove = []string{http.MethodDelete}
)

// routes is everything that is served below the base.
var routes = append(interactionRoutes, operationRoutes()...)

var interactionRoutes = []route{
	{methods: get, path: "/metadata", open: (*Handler).metadata},
	{methods: get, path: openAPIPath, open: (*Handler).openAPI},
	{methods: post, path: "", bundle: true, serves: []Interaction{{System, "transaction"}, {System, "batch"}},
		run: func(h *Handler, c *gin.Context, call interaction.Call, body []byte) (*interaction.Answer, error) {
			return h.Service.Bundle(c.Request.Context(), call, body)
		}},
	{methods: get, path: "", serves: []Interaction{{System, "search-system"}},
		run: func(h *Handler, c *gin.Context, call interaction.Call, _ []byte) (*interaction.Answer, error) {
			return h.Service.SearchSystem(c.Request.Context(), call, c.Request.URL.RawQuery)
		}},
	{methods: post, path: "/_search", form: true,
		run: func(h *Handler, c *gin.Context, call interaction.Call, body []byte) (*interaction.Answer, error) {
			return h.Service.SearchSystem(c.Request.Context(), call, formQuery(c, body))
		}},
	{methods: post, path: "/:type/_search", form: true,
		run: func(h *Handler, c *gin.Context, call interaction.Call, body []byte) (*interaction.Answer, error) {
			return h.Service.Search(c.Request.Context(), call, c.Param("type"), formQuery(c, body))
		}},
	{methods: get, path: "/:type/:id/:member",
		run: func(h *Handler, c *gin.Context, call interaction.Call, _ []byte) (*interaction.Answer, error) {
			return h.Service.SearchCompartment(c.Request.Context(), call, c.Param("type"), c.Param("id"), c.Param("member"), c.Request.URL.RawQuery)
		}},
	{methods: post, path: "/:type/:id/:member/_search", form: true,
		run: func(h *Handler, c *gin.Context, call interaction.Call, body []byte) (*interaction.Answer, error) {
			return h.Service.SearchCompartment(c.Request.Context(), call, c.Param("type"), c.Param("id"), c.Param("member"), formQuery(c, body))
		}},
	{methods: get, path: "/:type", serves: []Interaction{{ReadOnly, "search-type"}},
		run: func(h *Handler, c *gin.Context, call interaction.Call, _ []byte) (*interaction.Answer, error) {
			return h.Service.Search(c.Request.Context(), call, c.Param("type"), c.Request.URL.RawQuery)
		}},
	{methods: post, path: "/:type", content: true, serves: []Interaction{{Type, "create"}, {Ability, ConditionalCreate}},
		run: func(h *Handler, c *gin.Context, call interaction.Call, body []byte) (*interaction.Answer, error) {
			return h.Service.Create(c.Request.Context(), call, c.Param("type"), body)
		}},
	{methods: put, path: "/:type", serves: []Interaction{{Ability, ConditionalUpdate}},
		run: func(h *Handler, c *gin.Context, call interaction.Call, body []byte) (*interaction.Answer, error) {
			return h.Service.UpdateWhere(c.Request.Context(), call, c.Param("type"), c.Request.URL.RawQuery, body)
		}},
	{methods: remove, path: "/:type", serves: []Interaction{{Ability, ConditionalDelete}},
		run: func(h *Handler, c *gin.Context, call interaction.Call, _ []byte) (*interaction.Answer, error) {
			return h.Service.DeleteWhere(c.Request.Context(), call, c.Param("type"), c.Request.URL.RawQuery)
		}},
	{methods: patch, path: "/:type", patch: true, serves: []Interaction{{Ability, ConditionalPatch}},
		run: func(h *Handler, c *gin.Context, call interaction.Call, body []byte) (*interaction.Answer, error) {
			return h.Service.PatchWhere(c.Request.Context(), call, c.Param("type"), c.Request.URL.RawQuery, mediaType(c.GetHeader("Content-Type")), body)
		}},
	{methods: get, path: "/:type/:id", content: true, serves: []Interaction{{ReadOnly, "read"}, {Ability, ConditionalRead}},
		run: func(h *Handler, c *gin.Context, call interaction.Call, _ []byte) (*interaction.Answer, error) {
			return h.Service.Read(c.Request.Context(), call, c.Param("type"), c.Param("id"))
		}},
	{methods: put, path: "/:type/:id", content: true, serves: []Interaction{{Type, "update"}, {Ability, UpdateCreate}},
		run: func(h *Handler, c *gin.Context, call interaction.Call, body []byte) (*interaction.Answer, error) {
			return h.Service.Update(c.Request.Context(), call, c.Param("type"), c.Param("id"), body)
		}},
	{methods: patch, path: "/:type/:id", patch: true, serves: []Interaction{{Type, "patch"}},
		run: func(h *Handler, c *gin.Context, call interaction.Call, body []byte) (*interaction.Answer, error) {
			return h.Service.Patch(c.Request.Context(), call, c.Param("type"), c.Param("id"), mediaType(c.GetHeader("Content-Type")), body)
		}},
	{methods: remove, path: "/:type/:id", serves: []Interaction{{Type, "delete"}},
		run: func(h *Handler, c *gin.Context, call interaction.Call, _ []byte) (*interaction.Answer, error) {
			return h.Service.Delete(c.Request.Context(), call, c.Param("type"), c.Param("id"))
		}},
	{methods: get, path: "/_history", serves: []Interaction{{System, "history-system"}},
		run: func(h *Handler, c *gin.Context, call interaction.Call, _ []byte) (*interaction.Answer, error) {
			return h.Service.HistorySystem(c.Request.Context(), call, c.Request.URL.RawQuery)
		}},
	{methods: get, path: "/:type/_history", serves: []Interaction{{Type, "history-type"}},
		run: func(h *Handler, c *gin.Context, call interaction.Call, _ []byte) (*interaction.Answer, error) {
			return h.Service.HistoryType(c.Request.Context(), call, c.Param("type"), c.Request.URL.RawQuery)
		}},
	{methods: get, path: "/:type/:id/_history", serves: []Interaction{{Type, "history-instance"}},
		run: func(h *Handler, c *gin.Context, call interaction.Call, _ []byte) (*interaction.Answer, error) {
			return h.Service.History(c.Request.Context(), call, c.Param("type"), c.Param("id"), c.Request.URL.RawQuery)
		}},
	{methods: get, path: "/:type/:id/_history/:version", content: true, serves: []Interaction{{Type, "vread"}, {Ability, ReadHistory}},
		run: func(h *Handler, c *gin.Context, call interaction.Call, _ []byte) (*interaction.Answer, error) {
			return h.Service.VRead(c.Request.Context(), call, c.Param("type"), c.Param("id"), c.Param("version"))
		}},
}

// Served lists the interactions of the routing table, for the
// CapabilityStatement.
func Served() []Interaction {
	var all []Interaction
	for _, r := range routes {
		all = append(all, r.serves...)
	}
	return all
}

// Route is one method and path of the routing table, for the OpenAPI document.
type Route struct {
	Method, Path              string // the path below the base
	Code                      string // of the interaction, or empty
	Open, Bundle, Form, Patch bool
}

// Routes lists everything that is served below the base.
func Routes() (all []Route) {
	for _, r := range routes {
		out := Route{Path: r.path, Open: r.open != nil, Bundle: r.bundle, Form: r.form, Patch: r.patch}
		for _, i := range r.serves {
			if i.Level != Ability && out.Code == "" {
				out.Code = i.Code
			}
		}
		for _, out.Method = range r.methods {
			all = append(all, out)
		}
	}
	return all
}

// handle is the spine of every route.
func (h *Handler) handle(r route) gin.HandlerFunc {
	return func(c *gin.Context) {
		if r.open != nil {
			r.open(h, c)
			return
		}
		raw := r.wantsContent(c)
		f, ok := format{}, true
		if !raw {
			if f, ok = h.negotiate(c, c.Request.URL.RawQuery); !ok {
				return
			}
		}
		call, ok := h.authenticate(c)
		if !ok {
			return
		}
		if call, ok = h.emergency(c, call); !ok {
			return
		}
		if err := prefer(strings.Join(c.Request.Header.Values("Prefer"), ","), &call, r.bundle); err != nil {
			h.badPreference(c, err)
			return
		}
		if r.sendsContent(c) && !strings.Contains(c.GetHeader("Prefer"), "return=") {
			call.Return = interaction.Minimal // nobody wants the bytes back in another form
		}
		h.traced(c)
		cancel := h.deadline(c, r)
		defer cancel()
		opens := &turn{slots: h.opens}
		defer opens.Done()
		call.Turn = opens
		var body []byte
		if method := c.Request.Method; method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch {
			var release func()
			if body, release, ok = h.body(c, r); !ok {
				return
			}
			defer release()
		}
		if r.form { // may ask for a format too
			if f, ok = h.negotiate(c, formQuery(c, body)); !ok {
				return
			}
		}
		a, err := r.run(h, c, call, body)
		if err != nil {
			h.failed(c, err)
			return
		}
		h.respond(c, f, call, a, raw)
	}
}

// respond writes an answer in the form that it has.
func (h *Handler) respond(c *gin.Context, f format, call interaction.Call, a *interaction.Answer, raw bool) {
	switch {
	case a.Streamed():
		h.stream(c, f, a)
		return
	case raw && a.Body() != nil:
		h.content(c, a)
		return
	case a.Body() != nil && a.Location() != "" && call.Return == interaction.Representation:
		c.Header("Content-Location", h.Service.Base+"/"+a.Location()) // the body is that version (RFC 9110 §8.7)
	}
	h.answer(c, f, a)
}

func (h *Handler) metadata(c *gin.Context) {
	if f, ok := h.negotiate(c, c.Request.URL.RawQuery); ok {
		h.write(c, f, http.StatusOK, h.Metadata)
	}
}

// openAPIPath is served below the base and, as tools look there, at the root.
const openAPIPath = "/openapi.json"

// openAPI is the same JSON whatever Accept says, as other discovery documents
// are.
func (h *Handler) openAPI(c *gin.Context) {
	h.write(c, format{media: "application/json", coding: chooseCoding(c.GetHeader("Accept-Encoding"))}, http.StatusOK, h.OpenAPI)
}
