package secret_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/fieldseal/fieldseal/crypto/secret"
)

const marker = "k3y-material-0123456789abcdef"

type holder struct {
	Open   secret.Bytes
	hidden secret.Bytes
}

// leaks reports whether s shows the marker as text, hex, decimal or base64.
func leaks(s string) bool {
	forms := []string{marker, fmt.Sprintf("%x", marker), fmt.Sprintf("%X", marker),
		strings.Trim(fmt.Sprint([]byte(marker)), "[]"), "azN5LW1hdGVyaWFs"}
	for _, f := range forms {
		if strings.Contains(s, f) {
			return true
		}
	}
	return false
}

func TestKeyIsNotPrinted(t *testing.T) {
	t.Parallel()
	b := secret.New([]byte(marker))
	values := map[string]any{"value": b, "pointer": &b, "struct": holder{b, b},
		"pointer to struct": &holder{b, b}, "slice": []secret.Bytes{b}, "map": map[string]secret.Bytes{"k": b}}
	for name, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%p", "% x", "%c"} {
			if got := fmt.Sprintf(verb, v); leaks(got) {
				t.Errorf("%s with %s shows the key", name, verb)
			}
		}
		if leaks(fmt.Sprint(v)) || leaks(fmt.Errorf("x: %v", v).Error()) {
			t.Errorf("%s: Sprint or Errorf shows the key", name)
		}
	}
}

func TestKeyIsNotEncodedOrLogged(t *testing.T) {
	t.Parallel()
	b := secret.New([]byte(marker))
	h := holder{b, b}
	var out bytes.Buffer
	js, err := json.Marshal(map[string]any{"a": b, "b": &b, "c": h})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(js)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "k", b, "h", h)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "k", b, "h", h)
	if leaks(out.String()) {
		t.Error("JSON or slog shows the key")
	}
	if !strings.Contains(string(js), secret.Redacted) {
		t.Error("JSON does not say that it was redacted")
	}
	if err := gob.NewEncoder(&bytes.Buffer{}).Encode(b); err == nil {
		t.Error("gob encoded a key")
	}
	if _, err := b.MarshalBinary(); err == nil {
		t.Error("MarshalBinary encoded a key")
	}
}

func TestEqualAndWipe(t *testing.T) {
	t.Parallel()
	var zero secret.Bytes
	a, b := secret.Copy([]byte(marker)), secret.Copy([]byte(marker))
	if !a.Equal(b) || a.Equal(zero) || a.Equal(secret.Copy([]byte("x"))) || !zero.Equal(secret.New(nil)) {
		t.Error("Equal is wrong")
	}
	raw, shared := a.Expose(), a
	a.Wipe()
	zero.Wipe()
	if !bytes.Equal(raw, make([]byte, len(marker))) || shared.Len() != 0 {
		t.Error("Wipe left bytes behind")
	}
	if secret.Random(32).Equal(secret.Random(32)) || secret.Random(32).Len() != 32 {
		t.Error("Random repeats or is short")
	}
}
