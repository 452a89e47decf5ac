package interaction

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/fieldseal/fieldseal/audit"
	"github.com/fieldseal/fieldseal/authz"
	"github.com/fieldseal/fieldseal/repository/sealed"
)

// replayed is the reason of the audit events of repeated requests.
const replayed = "replay"

// createdBefore answers a repeated creation from what it created: 201 and the
// first version, with its body while the caller may read it and nobody has
// changed it.
func (s *Service) createdBefore(ctx context.Context, c Call, g authz.Grant, ev audit.Event, st *sealed.Stored) (*Answer, error) {
	rec := st.Record
	ev.Reason = replayed
	ev.Entities = []audit.Entity{entity(st.Head, rec.Key.Type, 1, 0)}
	receipt, err := s.durable(ctx, c, ev)
	if err != nil {
		return nil, failure(err)
	}
	first := rec
	first.Version = 1
	out := c.located(Answer{status: http.StatusCreated, replay: true}, first, st.Head.ID)
	out.modified = time.Time{}
	if rec.Version == 1 && !c.conceals() && c.Return == Representation {
		read := Call{Subject: c.Subject, RequestID: c.RequestID, TraceID: c.TraceID, room: c.room}
		if a, err := s.VRead(ctx, read, rec.Key.Type, st.Head.ID, "1"); err == nil {
			out.body, out.etag, out.modified = a.body, a.etag, a.modified
		}
	}
	return s.release(c, g, receipt, out)
}

// result is the kept answer of a Bundle: the responses of its entries without
// their resources, which belong to their patients' keys.
type result struct {
	Types []string        `json:"types"`
	Body  json.RawMessage `json:"body"`
}

// lost stands for an answer that was too large to keep.
const lost = "-"

// maxResultBytes bounds a kept answer; thousands of entries fit.
const maxResultBytes = 1 << 20

// keep seals the answer into the row. When that fails, a repeated request
// meets the ids that the first one used, and is told so.
func (s *Service) keep(ctx context.Context, c claim, a *Answer) {
	text, err := s.sealResult(c.key, a.body)
	if err != nil || len(text) > maxResultBytes {
		text = lost
	}
	c.row.Result = text
	_, _ = s.put(context.WithoutCancel(ctx), c)
}

func (s *Service) sealResult(key, body []byte) (string, error) {
	var in struct {
		ResourceType string `json:"resourceType"`
		Type         string `json:"type"`
		Entry        []struct {
			Response json.RawMessage `json:"response"`
		} `json:"entry,omitempty"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return "", err
	}
	kept := result{}
	for _, e := range in.Entry {
		var r struct {
			Location string `json:"location"`
		}
		if err := json.Unmarshal(e.Response, &r); err != nil {
			return "", err
		}
		if typ := typeIn(r.Location); typ != "" && !slices.Contains(kept.Types, typ) {
			kept.Types = append(kept.Types, typ)
		}
	}
	var err error
	if kept.Body, err = json.Marshal(in); err != nil {
		return "", err
	}
	plain, err := json.Marshal(kept)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write(plain) // a bytes.Buffer takes everything
	if err := z.Close(); err != nil {
		return "", err
	}
	return s.Vault.SealLink(b.Bytes(), string(key))
}

// typeIn is the type in …Type/id/_history/version.
func typeIn(location string) string {
	parts := strings.Split(location, "/")
	if len(parts) < 4 {
		return ""
	}
	return parts[len(parts)-4]
}

// replay answers a repeated Bundle with the kept answer, as long as the caller
// may still write each type that it wrote.
func (s *Service) replay(ctx context.Context, c Call, ev audit.Event, claim claim) (*Answer, error) {
	ev.Reason = replayed
	if claim.row.Result == lost {
		return nil, s.refuse(ctx, ev, fail(Conflict, nil, "a request with this idempotency key was carried out before, but its answer was too large to keep; read what it wrote"))
	}
	kept, err := s.openResult(claim)
	if err != nil {
		return nil, s.refuse(ctx, ev, err)
	}
	for _, typ := range kept.Types {
		if !s.mayWrite(ctx, c, typ) {
			return nil, s.refuse(ctx, ev, authz.ErrDenied)
		}
		ev.Entities = append(ev.Entities, audit.Entity{Type: typ})
	}
	receipt, err := s.durable(ctx, c, ev)
	if err != nil {
		return nil, failure(err)
	}
	return repeat(receipt, kept)
}

func (s *Service) openResult(c claim) (r result, err error) {
	sealed, err := s.Vault.OpenLink(c.row.Result, string(c.key))
	if err != nil {
		return r, err
	}
	z, err := gzip.NewReader(bytes.NewReader(sealed))
	if err != nil {
		return r, err
	}
	plain, err := io.ReadAll(io.LimitReader(z, maxAnswerBytes))
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(plain, &r)
}

func (s *Service) mayWrite(ctx context.Context, c Call, typ string) bool {
	return slices.ContainsFunc([]authz.Action{authz.Create, authz.Update, authz.Delete}, func(action authz.Action) bool {
		g, err := s.Decider.Decide(ctx, c.Subject, authz.Request{Action: action, Type: typ})
		return err == nil && g.Allowed()
	})
}
