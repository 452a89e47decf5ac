package adminapi

import (
	"encoding/json"
	"net/http"
)

// Bounds of requests; a policy may be large.
const (
	maxRequestBytes = 64 << 10
	maxOfficeBytes  = 24 << 20
)

// line is one line of an answer: progress, or how it ended.
type line struct {
	Progress *Progress       `json:"progress,omitempty"`
	Result   json.RawMessage `json:"result,omitempty"`
	Error    string          `json:"error,omitempty"`
}

// NewHandler serves a backend.
func NewHandler(b Backend) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		call(w, r, func(in TokenRequest, _ func(Progress)) (TokenReply, error) { return b.Token(r.Context(), in) })
	})
	mux.HandleFunc("POST /token/revoke", func(w http.ResponseWriter, r *http.Request) {
		call(w, r, func(in TokenReply, _ func(Progress)) (struct{}, error) {
			return struct{}{}, b.RevokeToken(r.Context(), in.Token)
		})
	})
	mux.HandleFunc("POST /keys/status", func(w http.ResponseWriter, r *http.Request) {
		call(w, r, func(struct{}, func(Progress)) (any, error) { return b.KeysStatus(r.Context()) })
	})
	mux.HandleFunc("POST /keys/rotate", func(w http.ResponseWriter, r *http.Request) {
		call(w, r, func(_ struct{}, p func(Progress)) (struct{}, error) { return struct{}{}, b.RotateKEK(r.Context(), p) })
	})
	mux.HandleFunc("POST /index/rotate", func(w http.ResponseWriter, r *http.Request) {
		call(w, r, func(_ struct{}, p func(Progress)) (struct{}, error) { return struct{}{}, b.RotateIndex(r.Context(), p) })
	})
	mux.HandleFunc("POST /index/rebuild", func(w http.ResponseWriter, r *http.Request) {
		call(w, r, func(_ struct{}, p func(Progress)) (struct{}, error) { return struct{}{}, b.Reindex(r.Context(), p) })
	})
	mux.HandleFunc("POST /erase", func(w http.ResponseWriter, r *http.Request) {
		call(w, r, func(in EraseRequest, p func(Progress)) (any, error) { return b.Erase(r.Context(), in, p) })
	})
	mux.HandleFunc("POST /erase/hold", func(w http.ResponseWriter, r *http.Request) {
		call(w, r, func(in HoldRequest, _ func(Progress)) (struct{}, error) { return struct{}{}, b.Hold(r.Context(), in) })
	})
	mux.HandleFunc("POST /erase/readmit", func(w http.ResponseWriter, r *http.Request) {
		call(w, r, func(in EraseRequest, _ func(Progress)) (struct{}, error) {
			return struct{}{}, b.Readmit(r.Context(), in)
		})
	})
	mux.HandleFunc("POST /office", func(w http.ResponseWriter, r *http.Request) {
		callWithin(maxOfficeBytes, w, r, func(in OfficeCall, _ func(Progress)) (json.RawMessage, error) {
			in.System = peerUser(r.Context())
			return b.Office(r.Context(), in)
		})
	})
	mux.HandleFunc("POST /search/explain", func(w http.ResponseWriter, r *http.Request) {
		call(w, r, func(in ExplainRequest, _ func(Progress)) (any, error) { return b.Explain(r.Context(), in) })
	})
	mux.HandleFunc("POST /backup", func(w http.ResponseWriter, r *http.Request) {
		call(w, r, func(in BackupRequest, _ func(Progress)) (struct{}, error) {
			return struct{}{}, b.Backup(r.Context(), in)
		})
	})
	mux.HandleFunc("POST /break-glass/list", func(w http.ResponseWriter, r *http.Request) {
		call(w, r, func(struct{}, func(Progress)) ([]Emergency, error) { return b.BreakGlassList(r.Context()) })
	})
	mux.HandleFunc("POST /break-glass/review", func(w http.ResponseWriter, r *http.Request) {
		call(w, r, func(in ReviewRequest, _ func(Progress)) (any, error) { return b.BreakGlassReview(r.Context(), in) })
	})
	mux.HandleFunc("POST /stats", func(w http.ResponseWriter, r *http.Request) {
		call(w, r, func(struct{}, func(Progress)) (Stats, error) { return b.Stats(r.Context()) })
	})
	return mux
}

// call decodes the request, runs it and streams lines.
func call[In, Out any](w http.ResponseWriter, r *http.Request, run func(In, func(Progress)) (Out, error)) {
	callWithin(maxRequestBytes, w, r, run)
}

func callWithin[In, Out any](limit int64, w http.ResponseWriter, r *http.Request, run func(In, func(Progress)) (Out, error)) {
	var in In
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, limit))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		http.Error(w, "the request is not the JSON that this call takes", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	enc, flush := json.NewEncoder(w), http.NewResponseController(w)
	send := func(l line) {
		_ = enc.Encode(l) // a client that went away learns nothing more
		_ = flush.Flush()
	}
	out, err := run(in, func(p Progress) { send(line{Progress: &p}) })
	if err != nil {
		send(line{Error: err.Error()})
		return
	}
	b, err := json.Marshal(out)
	if err != nil {
		send(line{Error: "encoding the result failed"})
		return
	}
	send(line{Result: b})
}
