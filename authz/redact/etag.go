package redact

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"github.com/fieldseal/fieldseal/crypto/field"
	"github.com/fieldseal/fieldseal/crypto/secret"
)

// ETag is the weak entity tag, W/"…", of a redacted read (decision 17). It
// changes when the visible bytes or the mask change and tells nothing about
// hidden changes, which the version number would.
func ETag(key secret.Bytes, visible field.ClassSet, body []byte) string {
	mac := hmac.New(sha256.New, key.Expose())
	mac.Write(binary.BigEndian.AppendUint16([]byte("fieldseal etag 1"), uint16(visible)))
	mac.Write(body)
	return `W/"r` + hex.EncodeToString(mac.Sum(nil)[:16]) + `"`
}
