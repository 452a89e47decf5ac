package suite

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/crypto/kms/vault/vaulttest"
)

// A vault that goes away in the middle of a streamed answer ends the stream
// before its end, never with a Bundle that looks whole; afterwards patient
// data is 503 until the vault is back, without a restart.
func TestVaultOutageMidStreamCutsTheAnswer(t *testing.T) {
	t.Parallel()
	v := vaulttest.New(t, "fieldseal")
	s := startOn(t, t.TempDir(), append(vaultSettings(t, v), "--kek-ttl", "1s", "--kms-grace", "1s", "--owner-key-ttl", "1s")...)
	id := largeRecord(t, s, 40)
	everything := "/Patient/" + id + "/$everything"

	body, err := s.slowly(t, everything, func() {
		v.SetSealed(true)
		s.eventually(t, "/Patient/"+id, http.StatusServiceUnavailable)
	})
	if err == nil || json.Valid(body) {
		t.Errorf("%d bytes came to their end: %v", len(body), err)
	}
	for _, path := range []string{"/Patient/" + id + "/_history", everything, "/Observation?subject=Patient/" + id} {
		a := s.do(t, clinician, "GET", path, nil).outcome(503)
		if strings.Contains(string(a.body), v.URL) || strings.Contains(string(a.body), "vault") {
			t.Errorf("%s names the inside: %s", path, a.body)
		}
	}
	v.SetSealed(false)
	s.eventually(t, "/Patient/"+id, http.StatusOK)
	whole, err := s.slowly(t, everything, func() {})
	if err != nil || !json.Valid(whole) || len(whole) <= len(body) {
		t.Errorf("after the outage: %d bytes, before %d, %v", len(whole), len(body), err)
	}
}

// Without the root key nobody logs in, no page shows a patient, and none tells
// why; no app loses what it was given.
func TestVaultOutageClosesThePages(t *testing.T) {
	t.Parallel()
	v := vaulttest.New(t, "fieldseal")
	s := startOn(t, t.TempDir(), append(vaultSettings(t, v), "--kek-ttl", "1s", "--kms-grace", "1s", "--owner-key-ttl", "1s")...)
	p := person("")
	id, family := s.create(t, p), at(each(p, "name")[0], "family").(string)
	a, doctor := newApp(t, s), s.newDoctor(t)
	given := doctor.authorize(t, a, "offline_access user/Patient.rs", nil)
	ask := a.asks("launch/patient patient/Patient.rs")
	picker, door := doctor.login(newVisitor(t).open(ask.url())), newVisitor(t).open(ask.url())
	picker.press("Search", map[string]string{"Name": family})
	closed := func(name string, v *visitor) {
		t.Helper()
		for _, inside := range []string{family, id, "vault", " key", "key "} {
			if strings.Contains(v.page.body, inside) {
				t.Errorf("%s shows %q", name, inside)
			}
		}
		if v.page.status != http.StatusServiceUnavailable || v.page.header.Get("Retry-After") == "" || v.left != nil {
			t.Errorf("%s: %d %v", name, v.page.status, v.left)
		}
	}
	v.SetSealed(true)
	s.eventually(t, "/Patient/"+id, http.StatusServiceUnavailable)
	closed("login", doctor.login(door))
	closed("choice", picker.choose(id))
	a.token(t, a.refresh(given.text("refresh_token"), "")).refused("refresh", http.StatusServiceUnavailable, "temporarily_unavailable")

	v.SetSealed(false)
	s.eventually(t, "/Patient/"+id, http.StatusOK)
	a.token(t, a.refresh(given.text("refresh_token"), "")).want()
	picker = doctor.login(newVisitor(t).open(ask.url())).press("Search", map[string]string{"Name": family})
	a.token(t, ask.redemption(picker.choose(id).allow(nil))).want()
}

// largeRecord creates a patient with n Observations of 700 KiB, so that the
// answer does not fit into the buffers between server and client.
func largeRecord(t *testing.T, s *server, n int) string {
	t.Helper()
	id := s.create(t, person(""))
	for i := range n {
		s.create(t, object{"resourceType": "Observation", "status": "final", "code": object{"text": fmt.Sprint(i)},
			"subject": object{"reference": "Patient/" + id}, "valueString": strings.Repeat("x", 700<<10)})
	}
	return id
}

// slowly reads the first bytes of an answer, calls meanwhile, and reads the
// rest.
func (s *server) slowly(t *testing.T, path string, meanwhile func()) ([]byte, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.Base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.Tokens[clinician])
	a, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	if a.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d", path, a.StatusCode)
	}
	first := make([]byte, 1024)
	if _, err := io.ReadFull(a.Body, first); err != nil {
		t.Fatal(err)
	}
	meanwhile()
	rest, err := io.ReadAll(a.Body)
	return append(first, rest...), err
}

// eventually waits until a clinician's read of path has the status.
func (s *server) eventually(t *testing.T, path string, status int) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		if a := s.do(t, clinician, "GET", path, nil); a.status == status {
			return
		} else if time.Now().After(deadline) {
			t.Fatalf("%s: still %d, want %d", path, a.status, status)
		}
	}
}
