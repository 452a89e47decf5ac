package pages

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/authz/federation"
)

// idp is two providers, one of which says where sessions end.
type idp struct{}

func (idp) Providers() []federation.Provider {
	return []federation.Provider{{Name: "hospital", Display: "Hospital <b>login</b>"}, {Name: "lab", Display: "Laboratory"}}
}

func (idp) Start(context.Context, string, federation.Flow) (string, error) {
	return "", federation.ErrAway
}

func (idp) Finish(context.Context, string, string, string, url.Values) (federation.Done, error) {
	return federation.Done{}, federation.ErrAway
}

func (idp) Leave(_ context.Context, provider string) string {
	if provider == "hospital" {
		return "https://idp.example/bye?client_id=fieldseal&x=1"
	}
	return ""
}

// Who signs out here is told that a session at a provider goes on, and where it
// ends; nobody is sent there unasked.
func TestSignedOutPageLeadsToProviders(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(o *Options) { o.Federation = idp{} })
	b := h.as("user:ann").get(logoutPath).submit("csrf").follow()
	if b.status != http.StatusOK || !strings.Contains(b.body, "You are signed out") {
		t.Fatalf("%d %s", b.status, b.body)
	}
	if !strings.Contains(b.body, `href="https://idp.example/bye?client_id=fieldseal&amp;x=1"`) || !strings.Contains(b.body, "Sign out of Hospital &lt;b&gt;login") || strings.Contains(b.body, "Sign out of Laboratory") {
		t.Error(b.body)
	}
	if b = newHouse(t).browse().get(logoutPath); strings.Contains(b.body, "Sign out of") || !strings.Contains(b.body, "You can close this window") {
		t.Error(b.body)
	}
}
