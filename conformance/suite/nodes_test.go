package suite

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/authz/issuer/issuertest"
	"github.com/fieldseal/fieldseal/repository/mongostore/mongotest"
)

// These tests run several servers on one database, whatever engine the others
// run on. They wait with generous limits and log the times that were measured.

// nodes are servers on one database.
type nodes struct {
	database *mongotest.Server
	proxy    *mongotest.Proxy // between the first node and the database
	all      []*server
	args     [][]string
}

// startNodes starts n servers at the same time on an empty database.
func startNodes(t *testing.T, n int, args ...string) *nodes {
	t.Helper()
	c := &nodes{database: mongotest.New(t, "--sync-on-commit"), all: make([]*server, n), args: make([][]string, n)}
	c.proxy = mongotest.NewProxy(t, c.database.Address)
	key, err := rootKey()
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	failures := make([]error, n)
	for i := range n {
		dir, uri := folder(t), c.database.URI()
		if i == 0 {
			uri = c.proxy.URI()
		}
		c.args[i] = append([]string{"--listen", "127.0.0.1:0", "--store", databaseOf(uri, t.Name()), "--kek-file", key,
			"--node", fmt.Sprintf("n%d", i+1)}, args...)
		wg.Go(func() { c.all[i], failures[i] = launchNode(dir, c.args[i]) })
	}
	wg.Wait()
	for _, s := range c.all {
		if s != nil {
			t.Cleanup(s.kill)
		}
	}
	if err := errors.Join(failures...); err != nil {
		t.Fatal(err)
	}
	c.credentials(t)
	return c
}

// credentials issues tokens at the first node for all of them.
func (c *nodes) credentials(t *testing.T) {
	t.Helper()
	tokens := map[string]string{}
	for _, role := range []string{integration, clinician} {
		tokens[role] = c.token(t, role)
	}
	for _, s := range c.all {
		s.Tokens = tokens
	}
}

// longest is how long a token of a role may live: five minutes are the most for
// a service.
func longest(role string) string {
	if role == integration {
		return "5m"
	}
	return "1h"
}

func (c *nodes) token(t *testing.T, role string) string {
	t.Helper()
	code, stdout, stderr := command(t, "token", "--data", c.all[0].dir, "--role", role, "--lifetime", longest(role))
	if code != 0 {
		t.Fatalf("token: %s", stderr)
	}
	return strings.TrimSpace(stdout)
}

// launchNode starts a server without demo data and waits until it is ready.
func launchNode(dir string, args []string) (*server, error) {
	s := spawn(dir, args...)
	if err := s.launchReady(); err != nil {
		return nil, err
	}
	return s, nil
}

// launchReady starts a server without demo data and waits until it is ready; on
// an error it has ended.
func (s *server) launchReady() error {
	if err := s.cmd.Start(); err != nil {
		return err
	}
	go func() { _ = s.cmd.Wait(); close(s.done) }()
	err := s.poll(func() bool {
		s.Base = printedBase.FindString(s.stdout.String())
		return s.Base != "" && s.ready() == http.StatusOK
	})
	if err != nil {
		s.kill()
		return fmt.Errorf("%w\nstdout: %s\nstderr: %s", err, s.stdout, s.stderr)
	}
	return nil
}

// restart starts a node again on its folder.
func (c *nodes) restart(t *testing.T, i int) {
	t.Helper()
	s, err := launchNode(c.all[i].dir, c.args[i])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	s.Tokens, c.all[i] = c.all[i].Tokens, s
}

// ready is the status of /readyz, 0 without an answer.
func (s *server) ready() int {
	r, err := s.client.Get(s.origin() + "/readyz")
	if err != nil {
		return 0
	}
	r.Body.Close()
	return r.StatusCode
}

func (s *server) poll(ok func() bool) error {
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		select {
		case <-s.done:
			return errors.New("the server ended")
		default:
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not within %s", patience)
		}
	}
	return nil
}

func (s *server) until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	if err := s.poll(ok); err != nil {
		t.Fatalf("%s: %v\n%s", what, err, s.stderr)
	}
}

// promptly waits for a change that is in force everywhere within five seconds. A
// machine that stops a process for long between two questions gets as much more.
func (s *server) promptly(t testing.TB, what string, ok func() bool) {
	t.Helper()
	began := time.Now()
	asked, pause := began, time.Duration(0)
	err := s.poll(func() bool {
		done := ok()
		pause, asked = max(pause, time.Since(asked)), time.Now()
		return done
	})
	if err != nil {
		t.Fatalf("%s: %v\n%s", what, err, s.stderr)
	}
	took := time.Since(began)
	t.Logf("%s: after %s", what, took.Round(time.Millisecond))
	if took > 15*time.Second+10*pause {
		t.Errorf("%s took %s, with a pause of %s", what, took, pause)
	}
}

// Two nodes that start together on an empty database serve as one: what one
// writes the other reads, links and keys of repeated requests hold on both,
// and a token that one revokes the other refuses within 5 s.
func TestTwoNodesServeAsOne(t *testing.T) {
	t.Parallel()
	issuer := startProvider(t)
	c := startNodes(t, 2, "--metrics", "127.0.0.1:0", "--issuers", issuersFile(t, issuer, "  bearer: {audience: \"https://fhir.example/fhir\", fhir_user_of_account: true}\n"))
	a, b := c.all[0], c.all[1]
	p := person("")
	id := a.create(t, p)
	b.do(t, clinician, "GET", "/Patient/"+id, nil).want(200)
	p["id"], p["gender"] = id, "male"
	b.do(t, integration, "PUT", "/Patient/"+id, p, "If-Match", `W/"1"`).want(200)
	a.do(t, integration, "PUT", "/Patient/"+id, p, "If-Match", `W/"1"`).outcome(412)
	if a.do(t, clinician, "GET", "/Patient/"+id, nil).want(200).json()["gender"] != "male" {
		t.Error("the first node reads an old version")
	}

	repeatAcross(t, c)
	repeatTransactionAcross(t, c)
	checkLinks(t, a, b)
	revokeAcross(t, c)
	revokedByItsClient(t, c)
	endedElsewhere(t, c, issuer)
	policyAcross(t, c)
	patient := patientAcross(t, c)
	labelsAcross(t, c, patient)
	consentAcross(t, c, patient)
	eraseAcross(t, c, id)
	a.measuresCommands(t)
	for _, s := range c.all {
		s.stop(t)
	}
	c.verify(t, 0)
}

// verify checks the chains of all nodes.
func (c *nodes) verify(t *testing.T, as int) {
	t.Helper()
	verify(t, c.all[as].dir, c.args[as][2:4]...)
}

// measuresCommands: the metrics count commands to the database by name and
// collection.
func (s *server) measuresCommands(t *testing.T) {
	t.Helper()
	r, err := s.client.Get(printedMetrics.FindStringSubmatch(s.stdout.String())[1])
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`collection_name="records",db_operation_name="find"`, `collection_name="trail",db_operation_name="insert"`} {
		if !strings.Contains(string(text), `db_client_operation_duration_seconds_count{db_`+want) {
			t.Errorf("no commands with %s were measured", want)
		}
	}
}

// repeatAcross sends one creation with one key to both nodes at the same time.
func repeatAcross(t *testing.T, c *nodes) {
	t.Helper()
	p := person("")
	answers := make([]*answer, 8)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() {
			answers[i], _ = c.all[i%2].try(t, integration, "POST", "/Patient", p, "X-Idempotency-Key", "nodes-1")
		})
	}
	wg.Wait()
	ids := map[string]bool{}
	for i, a := range answers {
		switch {
		case a == nil:
			t.Errorf("request %d had no answer", i)
		case a.status == 201:
			ids[a.id()] = true
		case a.status != 409 && a.status != 503: // the other node was at it
			t.Errorf("request %d: %d %s", i, a.status, a.body)
		}
	}
	if n := c.all[0].total(t, "/Patient?identifier="+identifierOf(p)); n != 1 || len(ids) != 1 {
		t.Errorf("one key made %d resources, %d ids were told", n, len(ids))
	}
}

// repeatTransactionAcross sends one transaction with one key to both nodes, of
// which one is slow. All get the same answer: those that come while the first is
// under way wait for it. One that waited in vain may be refused, and asks again.
func repeatTransactionAcross(t *testing.T, c *nodes) {
	t.Helper()
	c.proxy.Delay.Store(int64(20 * time.Millisecond))
	defer c.proxy.Delay.Store(0)
	entries := make([]object, 3)
	for i := range entries {
		entries[i] = object{"resource": person(""), "request": object{"method": "POST", "url": "Patient"}}
	}
	body, key := bundle("transaction", entries), unique("key-")
	answers := make([]string, 6)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() {
			for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Second) {
				a, err := c.all[i%2].try(t, integration, "POST", "", body, keyHeader, key)
				switch {
				case err != nil || a.status == 409 || a.status == 503:
					t.Logf("request %d asks again: %v", i, err)
				case a.status == 200:
					for _, e := range each(a.json(), "entry") {
						location := fmt.Sprint(at(e, "response", "location"))
						answers[i] += location[strings.Index(location, "Patient/"):]
					}
					return
				default:
					t.Errorf("request %d: %d %s", i, a.status, a.body)
					return
				}
			}
		})
	}
	wg.Wait()
	for i, a := range answers {
		if a == "" || a != answers[0] {
			t.Errorf("answer %d tells of %q, the first of %q", i, a, answers[0])
		}
	}
	for _, e := range entries {
		if n := c.all[0].total(t, "/Patient?identifier="+identifierOf(e["resource"].(object))); n != 1 {
			t.Errorf("one key made %d resources of an entry", n)
		}
	}
}

// checkLinks follows the page links of one node on the other.
func checkLinks(t *testing.T, a, b *server) {
	t.Helper()
	tag := unique("page-")
	for range 5 {
		p := person("")
		p["name"] = []any{object{"family": tag}}
		a.create(t, p)
	}
	path, seen := "/Patient?_count=2&family="+tag, map[string]bool{}
	for i := 0; path != ""; i++ {
		page := []*server{a, b}[i%2].do(t, integration, "GET", path, nil).want(200).json()
		for _, e := range each(page, "entry") {
			seen[e["resource"].(object)["id"].(string)] = true
		}
		path = ""
		for _, l := range each(page, "link") {
			if u, err := url.Parse(fmt.Sprint(l["url"])); err == nil && l["relation"] == "next" {
				path = strings.TrimPrefix(u.RequestURI(), "/fhir")
			}
		}
	}
	if len(seen) != 5 {
		t.Errorf("pages from two nodes hold %d of 5 resources", len(seen))
	}
}

// revokeAcross revokes on the first node what the second has just accepted.
func revokeAcross(t *testing.T, c *nodes) {
	t.Helper()
	token := c.token(t, nurse)
	b := c.all[1]
	old := b.Tokens
	b.Tokens = map[string]string{nurse: token, integration: old[integration]}
	defer func() { b.Tokens = old }()
	ask := func() int { return b.do(t, nurse, "GET", "/Patient/unknown", nil).status }
	if got := ask(); got != 404 {
		t.Fatalf("before it is revoked: %d", got)
	}
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(token + "\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Seek(0, 0); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := commandInput(t, f, "token", "--data", c.all[0].dir, "--revoke"); code != 0 {
		t.Fatal(stderr)
	}
	b.promptly(t, "refusing the revoked token", func() bool { return ask() == 401 })
}

// revokedByItsClient: abuse 35. A service revokes its token at the first node;
// the second, which has just accepted it, refuses it within 5 s.
func revokedByItsClient(t *testing.T, c *nodes) {
	t.Helper()
	a, b := c.all[0], c.all[1]
	endpoint := a.origin() + "/oauth/token"
	lab := register(t, a, "lab-feed", "system/Patient.rs")
	_, got := a.serviceToken(t, endpoint, lab.assertion(t, endpoint, nil), "system/Patient.rs")
	token, _ := got["access_token"].(string)
	ask := func() int { status, _ := b.withToken(t, token, "/Patient/unknown"); return status }
	if status := ask(); status != 404 {
		t.Fatalf("before it is revoked: %d", status)
	}
	if status, _, _ := a.form(t, a.origin()+"/oauth/revoke", withAssertion(url.Values{"token": {token}}, lab.assertion(t, endpoint, nil))); status != 200 {
		t.Fatalf("revocation: %d", status)
	}
	b.promptly(t, "refusing the revoked token", func() bool { return ask() == 401 })
}

// endedElsewhere disables, at the first node, the account of an external issuer's
// token that the second has just accepted.
func endedElsewhere(t *testing.T, c *nodes, issuer *issuertest.Provider) {
	t.Helper()
	a, b := c.all[0], c.all[1]
	a.operator(t, "user", "create", "user:guest", "--role", "role:nurse", "--link", "Practitioner/guest", "--reason", "new")
	a.operator(t, "user", "link", "user:guest", "--issuer", issuer.URL, "--sub", "s-guest", "--reason", "works there")
	token := issuer.Token("https://fhir.example/fhir", "s-guest", "user/*.rs", nil)
	ask := func() int { status, _ := b.withToken(t, token, "/Patient/unknown"); return status }
	if status := ask(); status != 404 {
		t.Fatalf("before the account is disabled: %d", status)
	}
	a.operator(t, "user", "change", "user:guest", "--disable", "--reason", "left")
	b.promptly(t, "refusing the token of a disabled account", func() bool { return ask() == 401 })
}

// eraseAcross erases on the first node a patient whose keys the second has in
// memory.
func eraseAcross(t *testing.T, c *nodes, id string) {
	t.Helper()
	c.all[1].do(t, clinician, "GET", "/Patient/"+id, nil).want(200)
	began := time.Now()
	erase(t, c.all[0].dir, id)
	t.Logf("erasing took %s with two nodes", time.Since(began).Round(time.Millisecond))
	for i, s := range c.all {
		for _, path := range []string{"/Patient/" + id, "/Patient/" + id + "/_history/1"} {
			if a := s.do(t, clinician, "GET", path, nil); a.status != 410 && a.status != 404 {
				t.Errorf("node %d reads %s: %d", i+1, path, a.status)
			}
		}
	}
}

// Of 32 creations at once over four nodes that are made only when there is none
// yet, one is.
func TestConditionalCreatesOverFourNodesMakeOneResource(t *testing.T) {
	t.Parallel()
	c := startNodes(t, 4)
	p := person("")
	cond := "identifier=" + identifierOf(p)
	answers := make([]*answer, 32)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() {
			for { // 409 and 503 say: again
				a, err := c.all[i%4].try(t, integration, "POST", "/Patient", p, "If-None-Exist", cond)
				if answers[i] = a; err != nil || a.status < 400 || a.status != 409 && a.status != 412 && a.status != 503 {
					return
				}
			}
		})
	}
	wg.Wait()
	created, ids := outcomes(t, answers)
	if n := c.all[0].total(t, "/Patient?identifier="+identifierOf(p)); created != 1 || len(ids) != 1 || n != 1 {
		t.Errorf("%d created, %d ids, %d stored", created, len(ids), n)
	}
}
