package interaction

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fieldseal/fieldseal/repository"
)

func (p *shop) createOnce(role, key, body string) (*Answer, error) {
	c := p.as(role)
	c.IdempotencyKey = key
	return p.Create(p.t.Context(), c, "Patient", []byte(body))
}

func (p *shop) bundleOnce(key, body string) (*Answer, error) {
	c := p.as("integration")
	c.IdempotencyKey, c.Return = key, Minimal
	return p.Bundle(p.t.Context(), c, []byte(body))
}

// replays are the rows of idempotency keys.
func (p *shop) replays() (rows []repository.Row) {
	p.t.Helper()
	for row, err := range p.Replays.Scan(p.t.Context(), nil) {
		p.must(err)
		rows = append(rows, row)
	}
	return rows
}

const keyOne = "7f1c0e0a-order-77"

func TestRepeatedCreateIsOneResource(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	first := must(p, func() (*Answer, error) { return p.createOnce("integration", keyOne, unnamed) })
	again := must(p, func() (*Answer, error) { return p.createOnce("integration", keyOne, unnamed) })
	if first.Status() != http.StatusCreated || first.Replay() || again.Status() != http.StatusCreated || !again.Replay() ||
		again.Location() != first.Location() || again.ETag() != first.ETag() || !bytes.Equal(again.Body(), first.Body()) || p.stored() != 1 {
		t.Errorf("%+v\n%+v\n%d versions", first, again, p.stored())
	}
	p.Service = p.service() // as after a restart
	if a := must(p, func() (*Answer, error) { return p.createOnce("integration", keyOne, unnamed) }); !a.Replay() || p.stored() != 1 {
		t.Error("a restart forgets keys")
	}
	replay := false
	for _, e := range p.rec.events {
		replay = replay || e.Subtype == "create" && e.Reason == "replay" && e.Entities[0].ID != ""
	}
	if !replay {
		t.Error("the replay is not in the trail")
	}
}

func TestKeyOfAnotherRequestIsRefused(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	must(p, func() (*Answer, error) { return p.createOnce("integration", keyOne, unnamed) })
	a, err := p.createOnce("integration", keyOne, strings.Replace(unnamed, "m4711", "m4712", 1))
	p.refused(a, err, Unprocessable)
	c := p.as("integration")
	c.IdempotencyKey, c.IfNoneExist = keyOne, "identifier=urn:mrn|m4711"
	a, err = p.Create(t.Context(), c, "Patient", []byte(unnamed))
	p.refused(a, err, Unprocessable)
	for _, key := range []string{strings.Repeat("k", 256), "with space", "with\nline", "ümlaut", "\x00"} {
		a, err := p.createOnce("integration", key, unnamed)
		p.refused(a, err, Malformed)
	}
	if p.stored() != 1 {
		t.Errorf("%d versions", p.stored())
	}
}

// A key is the caller's own: it is no way to another one's answers.
func TestKeysOfOthersMeanNothing(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	first := must(p, func() (*Answer, error) { return p.createOnce("integration", keyOne, unnamed) })
	second := must(p, func() (*Answer, error) { return p.createOnce("clinician", keyOne, unnamed) })
	if second.Replay() || second.Location() == first.Location() {
		t.Error("a key of another subject is answered")
	}
	a, err := p.createOnce("researcher", keyOne, unnamed)
	p.refused(a, err, Denied)
}

func TestConcurrentRepeatsAreOneResource(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	other := p.service() // another node on the same store
	locations := make([]string, 16)
	var wg sync.WaitGroup
	for i := range locations {
		c := p.as("integration")
		c.IdempotencyKey = keyOne
		node := p.Service
		if i%2 == 1 {
			node = other
		}
		wg.Go(func() {
			a, err := node.Create(t.Context(), c, "Patient", []byte(unnamed))
			if err != nil {
				t.Errorf("repeat %d: %v", i, err)
				return
			}
			locations[i] = a.Location()
		})
	}
	wg.Wait()
	for _, l := range locations {
		if l != locations[0] {
			t.Errorf("%s and %s", l, locations[0])
		}
	}
	if p.stored() != 1 {
		t.Errorf("%d versions", p.stored())
	}
}

func TestRequestThatHadNoEffectFreesItsKey(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	a, err := p.createOnce("integration", keyOne, `{"resourceType":"Patient","nonsense":1}`)
	p.refused(a, err, Unprocessable)
	if len(p.replays()) != 0 {
		t.Error("the row stays")
	}
	must(p, func() (*Answer, error) { return p.createOnce("integration", keyOne, unnamed) })
}

func TestKeysExpire(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	p.ReplayLife = -time.Second
	first := must(p, func() (*Answer, error) { return p.createOnce("integration", keyOne, unnamed) })
	p.ReplayLife = time.Hour
	second := must(p, func() (*Answer, error) {
		return p.createOnce("integration", keyOne, strings.Replace(unnamed, "m4711", "m4712", 1))
	})
	if second.Replay() || second.Location() == first.Location() || len(p.replays()) != 1 {
		t.Errorf("%+v, %d rows", second, len(p.replays()))
	}
	p.ReplayLife = -time.Second
	for i := range 5 {
		must(p, func() (*Answer, error) { return p.createOnce("integration", fmt.Sprint("old-", i), unnamed) })
	}
	if n, err := p.SweepReplays(t.Context()); err != nil || n != 5 || len(p.replays()) != 1 {
		t.Errorf("%d removed, %v, %d rows left", n, err, len(p.replays()))
	}
}

const threeOfAKind = `{"resourceType":"Bundle","type":"%s","entry":[
 {"fullUrl":"urn:uuid:5e5510a0-0000-4000-8000-000000000001","resource":{"resourceType":"Patient","gender":"other"},"request":{"method":"POST","url":"Patient"}},
 {"resource":{"resourceType":"Basic","code":{"text":"a"}},"request":{"method":"POST","url":"Basic"}},
 {"resource":{"resourceType":"Patient","gender":"male"},"request":{"method":"POST","url":"Patient"}}]}`

func TestRepeatedBundleIsCarriedOutOnce(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"transaction", "batch"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			p := newShop(t)
			body := fmt.Sprintf(threeOfAKind, kind)
			first := must(p, func() (*Answer, error) { return p.bundleOnce(keyOne, body) })
			again := must(p, func() (*Answer, error) { return p.bundleOnce(keyOne, body) })
			if !again.Replay() || again.Status() != http.StatusOK || p.stored() != 3 || !sameJSON(first.Body(), again.Body()) {
				t.Errorf("%d versions\n%s\n%s", p.stored(), first.Body(), again.Body())
			}
			a, err := p.bundleOnce(keyOne, strings.Replace(body, "male", "female", 1))
			p.refused(a, err, Unprocessable)
		})
	}
}

func sameJSON(a, b []byte) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	s, _ := json.Marshal(x)
	t, _ := json.Marshal(y)
	return bytes.Equal(s, t)
}

// A crash between the commit and keeping its answer must not make the next
// attempt write again.
func TestCrashBeforeTheAnswerWasKept(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]int{"transaction": http.StatusConflict, "batch": http.StatusOK} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			p := newShop(t)
			body := fmt.Sprintf(threeOfAKind, kind)
			must(p, func() (*Answer, error) { return p.bundleOnce(keyOne, body) })
			row := p.replays()[0]
			var r replayRow
			p.must(json.Unmarshal(row.Value, &r))
			r.Result = ""
			value, err := json.Marshal(r)
			p.must(err)
			_, err = p.Replays.PutIf(t.Context(), row.Key, value, row.Revision)
			p.must(err)
			p.Service = p.service()
			a, err := p.bundleOnce(keyOne, body)
			status := 0
			var f *Failure
			if errors.As(err, &f) {
				status = f.Kind.Status()
			} else if err == nil {
				status = a.Status()
			}
			if status != want || p.stored() != 3 {
				t.Errorf("status %d, %d versions: %v", status, p.stored(), err)
			}
		})
	}
}

// Who may not write a type any more is not told what was written.
func TestReplayNeedsTheRightToWrite(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	body := fmt.Sprintf(threeOfAKind, "transaction")
	must(p, func() (*Answer, error) { return p.bundleOnce(keyOne, body) })
	rows := p.replays()
	if s := string(rows[0].Value); strings.Contains(s, "Patient") || strings.Contains(string(rows[0].Key), keyOne) || strings.Contains(s, "4000-8000") {
		t.Errorf("in clear: %s", s)
	}
	var r replayRow
	p.must(json.Unmarshal(rows[0].Value, &r))
	a, err := p.replay(t.Context(), p.as("researcher"), begin(p.as("researcher"), 'E', "transaction"), claim{key: rows[0].Key, row: r})
	p.refused(a, err, Denied)
	if _, err := p.openResult(claim{key: []byte("idempotency/another"), row: r}); err == nil {
		t.Error("an answer opens in another row")
	}
}

// The trail first: a replay that cannot be recorded is not answered.
func TestReplayNeedsItsReceipt(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	must(p, func() (*Answer, error) { return p.createOnce("integration", keyOne, unnamed) })
	body := fmt.Sprintf(threeOfAKind, "transaction")
	must(p, func() (*Answer, error) { return p.bundleOnce("bundle", body) })
	p.rec.fail(always)
	a, err := p.createOnce("integration", keyOne, unnamed)
	p.refused(a, err, Unavailable)
	a, err = p.bundleOnce("bundle", body)
	p.refused(a, err, Unavailable)
}

// Rows of earlier releases are understood (docs/format/idempotency.md).
func TestFrozenReplayRow(t *testing.T) {
	t.Parallel()
	p := newShop(t)
	b, err := os.ReadFile("testdata/format/v1/idempotency.json")
	p.must(err)
	var r replayRow
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	p.must(d.Decode(&r))
	out, err := json.Marshal(r)
	p.must(err)
	if r.Format != replayFormat || !bytes.Equal(bytes.TrimSpace(b), out) {
		t.Errorf("%s", out)
	}
	name := p.Vault.PRF("idempotency-key", p.as("integration").Subject.ID()+"\x00"+p.as("integration").Subject.Client()+"\x00"+keyOne)
	_, err = p.Replays.PutIf(context.Background(), append([]byte(replayPrefix), name[:]...), []byte(`{"format":2}`), 0)
	p.must(err)
	if _, err := p.createOnce("integration", keyOne, unnamed); err == nil {
		t.Error("a row of a later format is ignored")
	}
}
