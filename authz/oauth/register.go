package oauth

import (
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz/client"
	"github.com/fieldseal/fieldseal/internal/limit"
)

// maxRegistrationBytes bounds the metadata of a client, key set included.
const maxRegistrationBytes = 16 << 10

// registrations is how often one network may register: ten at once, and one more
// every six minutes.
var registrations = limit.Limit{Rate: 1.0 / 360, Burst: 10}

// metadata of a client (RFC 7591 §2). What is not here is ignored, as the RFC
// demands: logo_uri and the other addresses are neither kept, shown nor fetched.
type clientMetadata struct {
	RedirectURIs  []string        `json:"redirect_uris,omitempty"`
	AuthMethod    string          `json:"token_endpoint_auth_method,omitempty"`
	GrantTypes    []string        `json:"grant_types,omitempty"`
	ResponseTypes []string        `json:"response_types,omitempty"`
	Name          string          `json:"client_name,omitempty"`
	Scope         string          `json:"scope,omitempty"`
	JWKS          json.RawMessage `json:"jwks,omitempty"`
	JWKSURI       string          `json:"jwks_uri,omitempty"`
}

// registeredMetadata is the answer (RFC 7591 §3.2.1).
type registeredMetadata struct {
	ID     string `json:"client_id"`
	Issued int64  `json:"client_id_issued_at"`
	clientMetadata
}

var errMetadata = errors.New("the metadata of the client is not acceptable")

// register is the client registration endpoint (RFC 7591 §3). Whoever calls
// proves nothing, so what comes in waits for an officer and can do nothing until
// then. There is no client secret, and no management of what was registered.
func (s *Server) register(w http.ResponseWriter, r *http.Request) {
	if wait, ok := s.registering.Admit(limit.Network(s.Peer(r)), s.Now()); !ok {
		s.fail(w, r, nil, throttled{wait})
		return
	}
	m, err := readMetadata(w, r)
	var c client.Client
	if err == nil {
		c, err = m.client(s.Interaction != nil)
	}
	if err == nil {
		c, err = s.Clients.Apply(r.Context(), c)
	}
	if err == nil {
		err = s.record(r.Context(), event{subtype: "client-register", client: c.ID, entities: []audit.Entity{{Type: "Client", ID: c.ID}}})
		if err != nil { // what is not recorded did not happen
			err = errors.Join(err, s.Clients.Reject(r.Context(), c.ID))
		}
	}
	if err != nil {
		s.refuseRegistration(w, r, err)
		return
	}
	text, err := json.Marshal(registeredMetadata{c.ID, c.Created.Unix(), m.as(c)})
	if err != nil {
		s.fail(w, r, nil, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(text)
}

// readMetadata takes JSON alone: a form of another web site cannot send it.
func readMetadata(w http.ResponseWriter, r *http.Request) (m clientMetadata, err error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" || r.URL.RawQuery != "" {
		return m, errMetadata
	}
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRegistrationBytes))
	if dec.Decode(&m) != nil || dec.More() {
		return m, errMetadata
	}
	return m, nil
}

// client is the one that the metadata describes, with the defaults written into
// m. The registry checks what it says.
func (m *clientMetadata) client(apps bool) (c client.Client, err error) {
	service := len(m.RedirectURIs) == 0
	grants, responses := []string{"authorization_code", "refresh_token"}, []string{"code"}
	if service {
		grants, responses = []string{"client_credentials"}, nil
	}
	m.AuthMethod = orDefault(m.AuthMethod, len(m.JWKS) > 0 || m.JWKSURI != "")
	if m.GrantTypes == nil {
		m.GrantTypes = grants
	}
	if m.ResponseTypes == nil {
		m.ResponseTypes = responses
	}
	if !service && !apps || !within(m.GrantTypes, grants) || !within(m.ResponseTypes, responses) ||
		!slices.Contains(m.GrantTypes, grants[0]) || !service && !slices.Contains(m.ResponseTypes, "code") {
		return c, errMetadata
	}
	m.GrantTypes = grants
	return client.Client{Name: m.Name, Auth: client.Auth(m.AuthMethod), Keys: m.JWKS, KeysURL: m.JWKSURI, Redirects: m.RedirectURIs,
		Scopes: strings.Fields(m.Scope), Origins: originsOf(m.RedirectURIs)}, nil
}

// orDefault is the method of a client: what it says, or what its keys say. The
// default of RFC 7591 is a secret, which no client here registers for itself.
func orDefault(method string, keys bool) string {
	switch {
	case method != "":
		return method
	case keys:
		return string(client.PrivateKeyJWT)
	}
	return string(client.Public)
}

func within(some, all []string) bool {
	return !slices.ContainsFunc(some, func(x string) bool { return !slices.Contains(all, x) })
}

// originsOf are the web origins of an app: those of its redirect URIs.
func originsOf(redirects []string) (out []string) {
	for _, text := range redirects {
		if u, err := url.Parse(text); err == nil {
			if o := u.Scheme + "://" + u.Host; !slices.Contains(out, o) {
				out = append(out, o)
			}
		}
	}
	return out
}

// as is what was registered.
func (m clientMetadata) as(c client.Client) clientMetadata {
	m.Scope = strings.Join(c.Scopes, " ")
	return m
}

// refuseRegistration answers with the codes of RFC 7591 §3.2.2. Nothing of what
// was sent is repeated; refusals are counted per peer in the trail.
func (s *Server) refuseRegistration(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, client.ErrRedirect):
		s.refuse(w, r, "invalid_redirect_uri", http.StatusBadRequest)
	case errors.Is(err, errMetadata), errors.Is(err, client.ErrClient):
		s.refuse(w, r, "invalid_client_metadata", http.StatusBadRequest)
	case errors.Is(err, client.ErrFull):
		w.Header().Set("Retry-After", limit.Seconds(time.Hour))
		s.refuse(w, r, "temporarily_unavailable", http.StatusServiceUnavailable)
	default:
		s.fail(w, r, nil, err)
	}
}
