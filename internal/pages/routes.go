package pages

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"

	"github.com/fieldseal/fieldseal/authz/federation"
)

//go:embed assets/pages.css assets/passkey.js assets/logo.svg
var files embed.FS

// asset is a file that the pages load. Its path follows its content, so that
// browsers may keep it.
type asset struct {
	path, media string
	content     []byte
}

func load(name, media string) asset {
	content, err := files.ReadFile("assets/" + name)
	if err != nil {
		panic(err) // it is part of the binary
	}
	sum := sha256.Sum256(content)
	base, ext, _ := strings.Cut(name, ".")
	return asset{assetsPath + base + "-" + hex.EncodeToString(sum[:6]) + "." + ext, media, content}
}

var (
	styleAsset  = load("pages.css", "text/css; charset=utf-8")
	scriptAsset = load("passkey.js", "text/javascript; charset=utf-8")
	logoAsset   = load("logo.svg", "image/svg+xml")
)

func (a asset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	guard(w, false, "")
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Header().Set("Content-Type", a.media)
	_, _ = w.Write(a.content)
}

// Handler serves the pages around the authorization endpoint.
type Handler struct {
	*Pages
	apps  Apps
	paths map[string]page
}

// page answers GET and POST, nil ones not at all.
type page struct{ get, post func(*visit) }

// Handler returns the pages; apps are what people have authorised.
func (p *Pages) Handler(apps Apps) *Handler {
	h := &Handler{Pages: p, apps: apps}
	h.paths = map[string]page{
		loginPath:    {(*visit).login, (*visit).loginForm},
		factorPath:   {(*visit).factor, (*visit).factorForm},
		enrolPath:    {(*visit).enrol, (*visit).enrolForm},
		logoutPath:   {(*visit).logout, (*visit).logoutForm},
		accountPath:  {(*visit).account, (*visit).accountForm},
		securePath:   {(*visit).secure, nil},
		totpPath:     {(*visit).totp, (*visit).totpForm},
		passkeyPath:  {(*visit).passkey, (*visit).passkeyForm},
		recoveryPath: {(*visit).recovery, (*visit).recoveryForm},
		passwordPath: {(*visit).password, (*visit).passwordForm},
		appsPath:     {h.authorised, h.revoke},
	}
	for _, provider := range p.providers() {
		h.paths[awayPath+provider.Name] = page{get: func(v *visit) { v.away(provider) }}
		h.paths[federation.CallbackPath+provider.Name] = page{get: func(v *visit) { v.returned(provider) }}
	}
	return h
}

// Serves reports whether a path is one of the pages', or lies below them.
func (h *Handler) Serves(path string) bool {
	return slices.ContainsFunc([]string{loginPath, logoutPath, accountPath, appsPath, strings.TrimSuffix(assetsPath, "/")}, func(root string) bool {
		return path == root || strings.HasPrefix(path, root+"/")
	})
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, a := range []asset{styleAsset, scriptAsset, logoAsset} {
		if r.URL.Path == a.path && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
			a.ServeHTTP(w, r)
			return
		}
	}
	page, found := h.paths[r.URL.EscapedPath()]
	defer h.survive(w, r)
	serve := page.get
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodPost:
		serve = page.post
	default:
		serve = nil
	}
	switch {
	case !found:
		h.refuse(w, r, http.StatusNotFound, problem{Title: "There is no such page", Text: "The address may be mistyped or out of date.", Back: accountPath, Label: "Go to your account"})
	case serve == nil:
		w.Header().Set("Allow", "GET, HEAD, POST")
		if page.post == nil {
			w.Header().Set("Allow", "GET, HEAD")
		}
		h.refuse(w, r, http.StatusMethodNotAllowed, problem{Title: "Not possible", Text: "This address cannot be used in this way.", Back: accountPath, Label: "Go to your account"})
	default:
		v, err := h.enter(w, r)
		if err != nil {
			h.down(w, r, err)
			return
		}
		serve(v)
	}
}

// survive answers a request that a fault of ours stopped, without what it was
// about.
func (h *Handler) survive(w http.ResponseWriter, r *http.Request) {
	if fault := recover(); fault != nil {
		h.down(w, r, errFault)
	}
}
