package issuertest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
)

// Sign is the compact serialization (RFC 7515 §3.1) by ES256, RS256, EdDSA or HS256, by
// the kind of the key and whatever the header says.
func (t *Token) Sign() string {
	payload := part(t.Claims)
	if t.Payload != "" {
		payload = encode([]byte(t.Payload))
	}
	text := part(t.Header) + "." + payload
	sum := sha256.Sum256([]byte(text))
	var signature []byte
	switch key := t.Key.(type) {
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
		if err != nil {
			panic("issuertest: signing: " + err.Error())
		}
		signature = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	case *rsa.PrivateKey:
		var err error
		if signature, err = rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:]); err != nil {
			panic("issuertest: signing: " + err.Error())
		}
	case ed25519.PrivateKey:
		signature = ed25519.Sign(key, []byte(text))
	case []byte:
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(text))
		signature = mac.Sum(nil)
	}
	return text + "." + encode(signature)
}

// PublicPEM is the public RSA key as an attacker would use it for a shared
// secret.
func (p *Provider) PublicPEM() []byte {
	der, err := x509.MarshalPKIXPublicKey(&p.RSA.PublicKey)
	if err != nil {
		panic("issuertest: encoding a key: " + err.Error())
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func part(v Object) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("issuertest: encoding a token: " + err.Error())
	}
	return encode(b)
}
