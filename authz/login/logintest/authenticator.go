// Package logintest holds a software authenticator (WebAuthn) for tests.
package logintest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
)

// Authenticator makes one passkey and answers with it, as a browser would hand
// its answers on. Its fields let it misbehave.
type Authenticator struct {
	Origin  string // what the browser says
	RPID    string
	Counter uint32
	// Unverified leaves the flag of user verification out.
	Unverified bool

	key *ecdsa.PrivateKey
	id  []byte
}

// New returns an authenticator in a browser at the origin.
func New(origin, rpid string) *Authenticator { return &Authenticator{Origin: origin, RPID: rpid} }

var b64 = base64.RawURLEncoding

// Register answers PublicKeyCredentialCreationOptions.
func (a *Authenticator) Register(options []byte) ([]byte, error) {
	challenge, err := challengeOf(options)
	if err != nil {
		return nil, err
	}
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	a.id = make([]byte, 16)
	_, _ = rand.Read(a.id)
	point, err := a.key.PublicKey.Bytes()
	if err != nil {
		return nil, err
	}
	// COSE_Key, RFC 9053 §7.1: {1: 2, 3: -7, -1: 1, -2: x, -3: y}
	cose := append([]byte{0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32}, point[1:33]...)
	cose = append(append(cose, 0x22, 0x58, 32), point[33:]...)
	data := append(a.data(0x40), make([]byte, 16)...) // attested, AAGUID of zeros
	data = binary.BigEndian.AppendUint16(data, uint16(len(a.id)))
	data = append(append(data, a.id...), cose...)
	object := append([]byte{0xa3, 0x63}, "fmt"...)
	object = append(append(object, 0x64), "none"...)
	object = append(append(object, 0x67), "attStmt"...)
	object = append(append(object, 0xa0, 0x68), "authData"...)
	object = append(object, 0x59, byte(len(data)>>8), byte(len(data)))
	object = append(object, data...)
	return a.answer(map[string]any{
		"clientDataJSON": a.clientData("webauthn.create", challenge), "attestationObject": b64.EncodeToString(object)})
}

// Answer answers PublicKeyCredentialRequestOptions.
func (a *Authenticator) Answer(options []byte) ([]byte, error) {
	challenge, err := challengeOf(options)
	if err != nil {
		return nil, err
	}
	a.Counter++
	data, client := a.data(0), a.clientData("webauthn.get", challenge)
	raw, _ := b64.DecodeString(client)
	sum := sha256.Sum256(raw)
	digest := sha256.Sum256(append(append([]byte{}, data...), sum[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, a.key, digest[:])
	if err != nil {
		return nil, err
	}
	return a.answer(map[string]any{"clientDataJSON": client, "authenticatorData": b64.EncodeToString(data), "signature": b64.EncodeToString(signature)})
}

func (a *Authenticator) answer(response map[string]any) ([]byte, error) {
	return json.Marshal(map[string]any{"id": b64.EncodeToString(a.id), "rawId": b64.EncodeToString(a.id), "type": "public-key", "response": response,
		"clientExtensionResults": map[string]any{}})
}

// data is authenticator data without what was attested (WebAuthn §6.1).
func (a *Authenticator) data(more byte) []byte {
	flags := more | 0x01 // user present
	if !a.Unverified {
		flags |= 0x04
	}
	sum := sha256.Sum256([]byte(a.RPID))
	return binary.BigEndian.AppendUint32(append(sum[:], flags), a.Counter)
}

func (a *Authenticator) clientData(kind, challenge string) string {
	text, _ := json.Marshal(map[string]any{"type": kind, "challenge": challenge, "origin": a.Origin, "crossOrigin": false})
	return b64.EncodeToString(text)
}

func challengeOf(options []byte) (string, error) {
	var o struct {
		Challenge string `json:"challenge"`
	}
	if err := json.Unmarshal(options, &o); err != nil || o.Challenge == "" {
		return "", fmt.Errorf("options without a challenge: %w", err)
	}
	return o.Challenge, nil
}
