package suite

import (
	"strings"
	"testing"
)

const app = "https://app.example"

// allowed are the Access-Control-… headers of an answer.
func allowed(a *answer) (names []string) {
	for name := range a.header {
		if strings.HasPrefix(name, "Access-Control-") {
			names = append(names, name)
		}
	}
	return names
}

func TestRegisteredOriginsMayCall(t *testing.T) { // Fetch §3.2
	t.Parallel()
	s := start(t, "--cors-origins", app+",http://localhost:3000")
	for _, origin := range []string{app, "http://localhost:3000"} {
		pre := s.do(t, nobody, "OPTIONS", "/Patient/"+s.Patient, nil, "Origin", origin, "Access-Control-Request-Method", "PUT",
			"Access-Control-Request-Headers", "authorization,content-type,if-match").want(204)
		methods, headers := pre.header.Get("Access-Control-Allow-Methods"), strings.ToLower(pre.header.Get("Access-Control-Allow-Headers"))
		if pre.header.Get("Access-Control-Allow-Origin") != origin || !strings.Contains(methods, "PUT") || !strings.Contains(methods, "GET") ||
			!strings.Contains(headers, "authorization") || !strings.Contains(headers, "if-match") || strings.Contains(headers, "*") ||
			pre.header.Get("Access-Control-Max-Age") == "" || len(pre.body) != 0 {
			t.Errorf("preflight: %v", pre.header)
		}
		for _, a := range []*answer{
			s.do(t, clinician, "GET", "/Patient/"+s.Patient, nil, "Origin", origin).want(200),
			s.do(t, nobody, "GET", "/Patient/"+s.Patient, nil, "Origin", origin).outcome(401), // a script must see why
			s.do(t, clinician, "GET", "/Patient/none", nil, "Origin", origin).outcome(404),
			s.do(t, clinician, "DELETE", "/metadata/x/y/z", nil, "Origin", origin).outcome(404),
		} {
			if a.header.Get("Access-Control-Allow-Origin") != origin || !strings.Contains(strings.Join(a.header.Values("Vary"), ","), "Origin") {
				t.Errorf("%s: %v", a.asked, a.header)
			}
			for _, name := range []string{"ETag", "Location", "Content-Location", "Last-Modified", "X-Request-Id", "X-Correlation-Id"} {
				if !strings.Contains(a.header.Get("Access-Control-Expose-Headers"), name) {
					t.Errorf("%s: %s is not exposed", a.asked, name)
				}
			}
			if a.header.Get("Access-Control-Allow-Credentials") != "" {
				t.Error("credentials of the browser are allowed")
			}
		}
	}
	if meta := s.do(t, nobody, "GET", "/metadata", nil).want(200).json(); at(meta, "rest", 0, "security", "cors") != true {
		t.Error("the statement does not say so")
	}
}

// abuse 22, with origins registered that the attacker tries to resemble.
func TestOriginsThatResembleRegisteredOnesAreRefused(t *testing.T) {
	t.Parallel()
	s := start(t, "--cors-origins", app)
	for _, origin := range []string{"null", "https://app.example.evil.example", "https://evil.example", "http://app.example", "https://app.example:8443",
		"https://APP.example", "https://app.example/", "https://xapp.example", "https://app.example,null", " https://app.example.", "*", s.origin()} {
		for _, method := range []string{"GET", "OPTIONS"} {
			a := s.do(t, clinician, method, "/Patient/"+s.Patient, nil, "Origin", origin, "Access-Control-Request-Method", "GET")
			if names := allowed(a); len(names) > 0 {
				t.Errorf("%s from %s: %v", method, origin, names)
			}
		}
	}
	a := s.do(t, nobody, "GET", "/metadata", nil, "Origin", "null").want(200)
	if a.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Error("metadata is not open")
	}
}
