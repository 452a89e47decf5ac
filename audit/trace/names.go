package trace

// Interaction is what a client asked for.
type Interaction uint8

// The interactions, by FHIR's and OAuth's names.
const (
	Other Interaction = iota
	Read
	VRead
	Update
	Patch
	Delete
	Create
	History
	Search
	Batch
	Transaction
	Capabilities
	Operation
	Token // and the following: the endpoints of the authorization server
	Authorize
	Introspect
	Revoke
	Launch
	Register
)

var interactionNames = [...]string{"fhir.other", "fhir.read", "fhir.vread", "fhir.update", "fhir.patch", "fhir.delete",
	"fhir.create", "fhir.history", "fhir.search", "fhir.batch", "fhir.transaction", "fhir.capabilities", "fhir.operation",
	"oauth.token", "oauth.authorize", "oauth.introspect", "oauth.revoke", "oauth.launch", "oauth.register"}

func (i Interaction) spanName() string {
	if int(i) < len(interactionNames) {
		return interactionNames[i]
	}
	return interactionNames[Other]
}

// Step is a part of an interaction.
type Step uint8

// The steps.
const (
	Decide Step = iota // policy
	Find               // index and engine
	Open               // keys and ciphers
	Commit             // engine
	Audit              // trail
)

var stepNames = [...]string{"decide", "find", "open", "commit", "audit"}

func (s Step) spanName() string {
	if int(s) < len(stepNames) {
		return stepNames[s]
	}
	return "step"
}

// Outcome is the class of how a span ended.
type Outcome uint8

// The outcomes.
const (
	OK Outcome = iota
	Denied
	NotFound
	Invalid
	Conflict
	Cancelled
	Unavailable
	Failed
)

var outcomeNames = [...]string{"ok", "denied", "not-found", "invalid", "conflict", "cancelled", "unavailable", "failed"}

func (o Outcome) String() string {
	if int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return outcomeNames[Failed]
}
