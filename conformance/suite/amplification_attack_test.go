package suite

import (
	"encoding/base64"
	"math/rand/v2"
	"testing"
)

// A small Bundle must not make the server compose an answer of any size.
func TestBatchThatReadsOneLargeResourceManyTimes(t *testing.T) {
	s := start(t)
	data := make([]byte, 2<<20)
	for i := range data {
		data[i] = byte(rand.Uint32())
	}
	large := s.create(t, object{"resourceType": "Binary", "contentType": "text/plain", "data": base64.StdEncoding.EncodeToString(data)})
	for _, url := range []string{"Binary/" + large, "Binary?_id=" + large, "Binary/" + large + "/_history", "Binary/" + large + "/_history/1"} {
		entries := make([]object, 60)
		for i := range entries {
			entries[i] = object{"request": object{"method": "GET", "url": url}}
		}
		a := s.do(t, nurse, "POST", "", bundle("batch", entries)).want(200)
		if len(a.body) > 80<<20 {
			t.Errorf("%s: an answer of %d MiB", url, len(a.body)>>20)
		}
		counts := map[any]int{}
		for _, r := range a.responses() {
			counts[r["status"]]++
		}
		if counts["200"] == 0 || counts["413"] == 0 || counts["200"]+counts["413"] != len(entries) {
			t.Errorf("%s: %v", url, counts)
		}
	}
}
