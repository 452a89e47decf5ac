package oauth

import (
	"encoding/json"
	"slices"

	"github.com/fieldseal/fieldseal/authz/smart"
)

var (
	authMethods  = []string{"private_key_jwt"}
	userMethods  = []string{"client_secret_basic", "client_secret_post", "private_key_jwt"}
	assertionAlg = []string{"RS384", "ES384"}
)

// document encodes a discovery document: a map of strings and lists.
func document(m map[string]any) []byte {
	b, _ := json.Marshal(m)
	return b
}

// metadata is what both discovery documents say (RFC 8414).
func (s *Server) metadata() map[string]any {
	m := map[string]any{
		"token_endpoint":         s.endpoint("token"),
		"introspection_endpoint": s.endpoint("introspect"), "revocation_endpoint": s.endpoint("revoke"),
		"grant_types_supported": []string{"client_credentials"}, "token_endpoint_auth_methods_supported": authMethods,
		"token_endpoint_auth_signing_alg_values_supported": assertionAlg, "code_challenge_methods_supported": []string{"S256"},
		"scopes_supported": []string{"system/*.cruds"},
	}
	if s.Registers {
		m["registration_endpoint"] = s.endpoint("register")
	}
	if s.Interaction != nil {
		m["issuer"], m["jwks_uri"], m["authorization_endpoint"] = s.Issuer, s.endpoint("jwks"), s.endpoint("authorize")
		m["response_types_supported"] = []string{"code"}
		m["grant_types_supported"] = []string{"authorization_code", "refresh_token", "client_credentials"}
		m["token_endpoint_auth_methods_supported"] = append([]string{"none"}, userMethods...)
		m["scopes_supported"] = []string{smart.OpenID, smart.FHIRUser, smart.Launch, smart.LaunchPatient, smart.LaunchEncounter, smart.OfflineAccess, smart.OnlineAccess,
			"patient/*.cruds", "user/*.cruds", "system/*.cruds"}
	}
	return m
}

// smartConfiguration is .well-known/smart-configuration (SMART App Launch 2.2,
// conformance).
func (s *Server) smartConfiguration() []byte {
	m := s.metadata()
	m["capabilities"] = s.capabilities()
	if s.Interaction != nil && s.Manage != "" {
		m["management_endpoint"] = s.endpoint(s.Manage)
	}
	return document(m)
}

// capabilities are what is wired: TestCapabilitiesAreWhatIsWired takes each part
// away. An encounter for an app outside of an EHR is not offered.
func (s *Server) capabilities() []string {
	out := []string{"client-confidential-asymmetric", "permission-v1", "permission-v2"}
	if s.Interaction != nil {
		out = append(out, "client-public", "client-confidential-symmetric", "sso-openid-connect", "launch-standalone", "context-banner", "context-style",
			"permission-offline", "permission-online", "permission-patient", "permission-user", "authorize-post")
		if s.Charts != nil {
			out = append(out, "launch-ehr", "context-ehr-patient", "context-ehr-encounter")
		}
		if s.Picker {
			out = append(out, "context-standalone-patient")
		}
	}
	slices.Sort(out)
	return out
}

// Endpoints are the addresses of what is served, by the names that the FHIR
// extension oauth-uris has, and launch.
func (s *Server) Endpoints() map[string]string {
	out := map[string]string{"token": s.endpoint("token"), "introspect": s.endpoint("introspect"), "revoke": s.endpoint("revoke")}
	if s.Registers {
		out["register"] = s.endpoint("register")
	}
	if s.Interaction != nil {
		out["authorize"] = s.endpoint("authorize")
		if s.Manage != "" {
			out["manage"] = s.endpoint(s.Manage)
		}
		if s.Charts != nil {
			out["launch"] = s.endpoint("launch")
		}
	}
	return out
}

// openIDConfiguration is .well-known/openid-configuration (OpenID Connect
// Discovery §3).
func (s *Server) openIDConfiguration() []byte {
	m := s.metadata()
	m["subject_types_supported"] = []string{"public"}
	m["id_token_signing_alg_values_supported"] = []string{"RS256"}
	m["claims_supported"] = []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "amr", "nonce", "fhirUser"}
	m["request_parameter_supported"], m["request_uri_parameter_supported"] = false, false
	return document(m)
}
