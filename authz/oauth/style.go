package oauth

import (
	"crypto/sha256"
	_ "embed" // the style document
	"encoding/hex"
)

// style is the look of the pages, by the names that the specification gives
// (SMART App Launch 2.2, styling).
//
//go:embed style.json
var style []byte

// stylePath is where apps find it. The name follows the content, since apps may
// keep what they once read from a URL.
func stylePath() string {
	sum := sha256.Sum256(style)
	return "style-" + hex.EncodeToString(sum[:4]) + ".json"
}
