package adminapi

import (
	"time"

	"github.com/fieldseal/fieldseal/authz/client"
)

// ClientCall is what is asked about OAuth clients.
type ClientCall string

// The calls.
const (
	AddClient          ClientCall = "add"
	ListClients        ClientCall = "list"
	ShowClient         ClientCall = "show"
	RotateClientSecret ClientCall = "rotate-secret"
	DisableClient      ClientCall = "disable"
	// RotateSigningKey concerns no client but the key of id_tokens.
	RotateSigningKey ClientCall = "rotate-signing-key"
)

// ClientRequest is a call about OAuth clients. All but add read the id alone.
type ClientRequest struct {
	Do     ClientCall    `json:"do"`
	Client client.Client `json:"client"`
}

// maxClientBytes leaves room for a key set of 64 KiB.
const maxClientBytes = 128 << 10

// ClientReply holds what was asked for: the clients, a secret that is shown
// once, or how many tokens were ended.
type ClientReply struct {
	Clients []client.Client `json:"clients,omitempty"`
	Secret  string          `json:"secret,omitempty"`
	Revoked int             `json:"revoked,omitempty"`
	// KeyID is that of a new signing key, which signs from From.
	KeyID string    `json:"key_id,omitempty"`
	From  time.Time `json:"from,omitzero"`
}
