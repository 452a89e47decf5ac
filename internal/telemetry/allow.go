package telemetry

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"go.opentelemetry.io/otel/attribute"
)

// shape is what the text values of an allowed key may look like. Numbers,
// booleans, durations and times are harmless under any allowed key.
type shape uint8

const (
	word     shape = iota + 1 // a code, name, address or id of this server: one short word
	sentence                  // an error text by the house rules: bounded, one line
	stack                     // a stack trace: bounded, many lines
)

// Bounds of text values in bytes.
const (
	maxWord     = 128
	maxSentence = 512
	maxStack    = 16 << 10
)

const withheld = "(withheld)"

// logKeys are the keys that a log line may carry. Logical ids, references,
// queries, bodies, headers and names of people have no key here on purpose.
var logKeys = map[string]shape{
	"error": sentence, "reason": sentence, "hint": sentence, "stack": stack,
	"component": word, "operation": word, "interaction": word, "type": word, "code": word,
	"method": word, "route": word, "status": word, "outcome": word, "duration": word,
	"request_id": word, "trace_id": word, "span_id": word,
	"address": word, "listen": word, "base": word, "profile": word, "suite": word, "engine": word,
	"node": word, "version": word, "revision": word, "go": word, "signal": word, "level": word,
	"bytes": word, "free": word, "limit": word, "count": word, "total": word, "entries": word,
	"attempt": word, "epoch": word, "key_version": word, "seq": word, "tree_size": word,
	"resources": word, "patients": word, "refused": word, "seconds": word, "file": word, "line": word,
}

// spanKeys are the attribute keys of spans and span events: those that
// audit/trace makes.
var spanKeys = map[string]shape{
	"http.route": word, "fieldseal.resource.type": word, "fieldseal.resource": word, "fieldseal.outcome": word,
	"fieldseal.find.candidates": word, "fieldseal.find.matches": word, "fieldseal.open.classes": word, "fieldseal.bytes": word,
	"fieldseal.decision.revision": word, "fieldseal.audit.receipt": word,
	"fieldseal.access.resources": word, "fieldseal.access.patients": word, "fieldseal.access.classes": word,
}

// metricKeys are the attribute keys of metrics: a subset with few values each,
// since every combination is a time series.
var metricKeys = map[string]bool{
	"http.request.method": true, "http.route": true, "http.response.status_code": true,
	"network.protocol.version": true, "url.scheme": true, "error.type": true,
	"fhir.interaction": true, "fhir.resource.type": true, "authz.outcome": true,
	"audit.kind": true, "audit.outcome": true, "crypto.suite": true,
	"db.system.name": true, "db.operation.name": true, "db.collection.name": true,
	"operation": true, "outcome": true, "kind": true, "stage": true, "cache": true, "result": true,
}

// allowedMetric is the attribute filter of every instrument. A text that is no
// short word is dropped, too: metrics are readable without a token.
func allowedMetric(kv attribute.KeyValue) bool {
	return metricKeys[string(kv.Key)] && (kv.Value.Type() != attribute.STRING || isWord(kv.Value.AsString()))
}

// text fits s into the shape.
func (sh shape) text(s string) string {
	switch sh {
	case word:
		if !isWord(s) {
			return withheld
		}
		return s
	case sentence:
		return clip(strings.Map(printableOrSpace, s), maxSentence)
	case stack:
		return clip(s, maxStack)
	}
	return withheld
}

// isWord accepts codes, routes (/fhir/:type/:id), addresses, versions and file
// names: no spaces, quotes or bars, so neither JSON, names nor tokens with a
// system fit.
func isWord(s string) bool {
	if len(s) > maxWord {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && strings.IndexByte("-_.:/*$[]+,{}", c) < 0 {
			return false
		}
	}
	return true
}

func printableOrSpace(r rune) rune {
	if !unicode.IsPrint(r) {
		return ' '
	}
	return r
}

// clip cuts at a rune boundary.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	s = s[:limit]
	for len(s) > 0 && !utf8.ValidString(s[max(0, len(s)-utf8.UTFMax):]) {
		s = s[:len(s)-1]
	}
	return s + "…"
}
