package suite

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
)

// needles are byte patterns of markers in the encodings that leak in practice,
// by encoding.
type needles map[string][]byte

func (c *canary) needles() needles {
	n := needles{}
	n.add("core", c.core)
	n.add("upper", strings.ToUpper(c.core))
	n.add("digits", c.digits)
	return n
}

// add plants a word in every encoding.
func (n needles) add(name, word string) {
	n[name+" utf-8"] = []byte(word)
	reversed := []byte(word)
	slices.Reverse(reversed)
	n[name+" reversed"] = reversed
	n[name+" hex"] = []byte(hex.EncodeToString([]byte(word)))
	n[name+" HEX"] = bytes.ToUpper(n[name+" hex"])
	var le, be []byte
	for _, u := range utf16.Encode([]rune(word)) {
		le, be = append(le, byte(u), byte(u>>8)), append(be, byte(u>>8), byte(u))
	}
	n[name+" utf-16 little"], n[name+" utf-16 big"] = le, be
	for shift := range 3 {
		// What stands before and after the word decides the first and last
		// characters; the middle is the word's alone.
		padded := append(make([]byte, shift), word...)
		for kind, enc := range map[string]*base64.Encoding{" base64 ": base64.RawStdEncoding, " base64url ": base64.RawURLEncoding} {
			text := enc.EncodeToString(padded[:len(padded)/3*3])
			if shift > 0 {
				text = text[4:]
			}
			n[name+kind+string(rune('0'+shift))] = []byte(text)
		}
	}
}

func (n needles) hit(b []byte) bool {
	for _, needle := range n {
		if bytes.Contains(b, needle) {
			return true
		}
	}
	return false
}

func (n needles) scan(t testing.TB, where string, b []byte) {
	t.Helper()
	for name, needle := range n {
		if i := bytes.Index(b, needle); i >= 0 {
			t.Errorf("%s: marker (%s) at %d: %q", where, name, i, b[max(0, i-60):min(len(b), i+40)])
		}
	}
}

// scanFiles scans every file below a folder, and the files' names.
func (n needles) scanFiles(t testing.TB, dir string) {
	t.Helper()
	scanned := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return ignoreMissing(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return ignoreMissing(err)
		}
		scanned += len(b)
		n.scan(t, path, b)
		n.scan(t, "a file name", []byte(path))
		return nil
	})
	if err != nil || scanned == 0 {
		t.Errorf("scanning %s: %d bytes, %v", dir, scanned, err)
	}
}

// scanServer scans what a server keeps: its files, and its databases on MongoDB.
func (n needles) scanServer(t testing.TB, s *server) {
	t.Helper()
	n.scanFiles(t, s.dir)
	for name, stored := range databases(t, s.dir) {
		for collection, documents := range stored {
			for _, document := range documents {
				n.scan(t, name+"."+collection, document)
			}
		}
	}
}

// ignoreMissing skips what the engine removed during the walk.
func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func TestScannerFindsEveryEncoding(t *testing.T) {
	t.Parallel()
	c := newCanary()
	n := c.needles()
	text := "some text before " + c.word() + " and after"
	for shift := range 3 {
		padded := text[shift:]
		u := utf16.Encode([]rune(padded))
		var wide []byte
		for _, r := range u {
			wide = append(wide, byte(r), byte(r>>8))
		}
		reversed := []byte(padded)
		slices.Reverse(reversed)
		for name, b := range map[string][]byte{
			"plain": []byte(padded), "utf-16": wide, "reversed": reversed, "hex": []byte(hex.EncodeToString([]byte(padded))),
			"base64": []byte(base64.StdEncoding.EncodeToString([]byte(padded))), "base64url": []byte(base64.URLEncoding.EncodeToString([]byte(padded))),
			"decimal": []byte(`{"valueDecimal":3.` + c.digits + `5}`),
		} {
			if !n.hit(b) {
				t.Errorf("%s, shift %d: not found", name, shift)
			}
		}
	}
	if n.hit([]byte("some text without any marker")) {
		t.Error("found where there is none")
	}
}
