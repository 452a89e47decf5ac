package importer_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/fieldseal/fieldseal/internal/importer"
)

// server behaves like the product as far as an import can tell: PUT creates or
// makes a new version, transactions are atomic and resolve conditional
// references, batches answer entry by entry.
type server struct {
	mu        sync.Mutex
	versions  map[string]int // Type/id → number of versions
	bodies    map[string]string
	posted    int
	requests  int
	trouble   []importer.Answer // answered first, in order
	maxBundle int               // bytes; 413 above, 0 = no limit
}

func newServer() *server { return &server{versions: map[string]int{}, bodies: map[string]string{}} }

type request struct {
	Method      string `json:"method"`
	URL         string `json:"url"`
	IfNoneExist string `json:"ifNoneExist"`
}

type bundleEntry struct {
	FullURL  string          `json:"fullUrl"`
	Request  request         `json:"request"`
	Resource json.RawMessage `json:"resource"`
}

func outcome(status int, code, text, path string) importer.Answer {
	b := fmt.Sprintf(`{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":%q,"diagnostics":%q,"expression":[%q]}]}`, code, text, path)
	return importer.Answer{Status: status, Body: []byte(b)}
}

func (s *server) do(_ context.Context, method, path string, h http.Header, body []byte) (importer.Answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	if len(s.trouble) > 0 {
		a := s.trouble[0]
		s.trouble = s.trouble[1:]
		if a.Status == 0 {
			return importer.Answer{}, io.ErrUnexpectedEOF
		}
		return a, nil
	}
	if method == http.MethodPost && path == "" {
		return s.bundle(body), nil
	}
	return s.one(request{method, path, h.Get("If-None-Exist")}, body), nil
}

func (s *server) one(r request, body []byte) importer.Answer {
	var res struct {
		ResourceType string `json:"resourceType"`
		ID           string `json:"id"`
		Bad          bool   `json:"bad"`
	}
	if json.Unmarshal(body, &res) != nil || res.Bad {
		return outcome(422, "structure", "unknown element", res.ResourceType+".bad")
	}
	switch r.Method {
	case http.MethodPut:
		if r.URL != res.ResourceType+"/"+res.ID {
			return outcome(400, "invalid", "the body's id is not the id in the URL", "")
		}
		return s.store(r.URL, body)
	case http.MethodPost:
		if r.IfNoneExist != "" {
			if key := s.find(res.ResourceType + "?" + r.IfNoneExist); key != "" {
				return importer.Answer{Status: 200}
			}
		}
		s.posted++
		return s.store(fmt.Sprintf("%s/server-%d", res.ResourceType, s.posted), body)
	}
	return outcome(400, "not-supported", "method", "")
}

func (s *server) store(key string, body []byte) importer.Answer {
	s.versions[key]++
	s.bodies[key] = string(body)
	if s.versions[key] > 1 {
		return importer.Answer{Status: 200}
	}
	return importer.Answer{Status: 201}
}

// find resolves Type?identifier=system|value by text.
func (s *server) find(criteria string) string {
	typ, query, _ := strings.Cut(criteria, "?")
	_, value, _ := strings.Cut(query, "|")
	for key, body := range s.bodies {
		if strings.HasPrefix(key, typ+"/") && strings.Contains(body, `"value":"`+value+`"`) {
			return key
		}
	}
	return ""
}

func (s *server) bundle(body []byte) importer.Answer {
	var b struct {
		Type  string        `json:"type"`
		Entry []bundleEntry `json:"entry"`
	}
	if json.Unmarshal(body, &b) != nil {
		return outcome(400, "invalid", "not JSON", "")
	}
	if s.maxBundle > 0 && len(body) > s.maxBundle {
		return outcome(413, "too-long", "the body exceeds the limit of this server", "")
	}
	if b.Type == "transaction" {
		if a := s.checkTransaction(b.Entry); a.Status != 0 {
			return a
		}
	}
	var out []string
	for _, e := range b.Entry {
		a := s.one(e.Request, e.Resource)
		r := fmt.Sprintf(`{"response":{"status":"%d"}}`, a.Status)
		if a.Status >= 300 {
			r = fmt.Sprintf(`{"response":{"status":"%d","outcome":%s}}`, a.Status, a.Body)
		}
		out = append(out, r)
	}
	return importer.Answer{Status: 200, Body: []byte(`{"resourceType":"Bundle","type":"` + b.Type + `-response","entry":[` + strings.Join(out, ",") + `]}`)}
}

func (s *server) checkTransaction(entries []bundleEntry) importer.Answer {
	for i, e := range entries {
		if strings.Contains(string(e.Resource), `"bad":true`) {
			return outcome(422, "structure", "unknown element", fmt.Sprintf("Bundle.entry[%d].resource/Patient.bad", i))
		}
		_, rest, ok := strings.Cut(string(e.Resource), `"reference":"`)
		ref, _, _ := strings.Cut(rest, `"`)
		if ok && strings.Contains(ref, "?") && s.find(ref) == "" {
			return outcome(422, "not-found", "the conditional reference matches nothing", fmt.Sprintf("Bundle.entry[%d].resource", i))
		}
	}
	return importer.Answer{}
}

// serve puts the same server behind HTTP, for importers in other processes,
// slow enough that a kill finds requests in flight before and after they land.
func (s *server) serve() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		time.Sleep(time.Millisecond)
		defer time.Sleep(time.Millisecond)
		a, _ := s.do(r.Context(), r.Method, strings.TrimPrefix(r.URL.Path, "/"), r.Header, body)
		w.WriteHeader(a.Status)
		_, _ = w.Write(a.Body)
	}))
}
