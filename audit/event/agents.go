package event

import (
	"github.com/fieldseal/fieldseal/audit"
)

// Roles of the systems that take part (BALP 3:5.7.4): who sends the data is the
// source, so client and server swap between reading and the rest.
var (
	sourceRole      = coding{systemDICOM, "110153", "Source Role ID"}
	destinationRole = coding{systemDICOM, "110152", "Destination Role ID"}
	applicationRole = coding{systemDICOM, "110150", "Application"}
	custodianRole   = coding{systemProvenance, "custodian", "Custodian"}

	recipientRole = coding{systemParticipant, "IRCP", "information recipient"}
	informantRole = coding{systemParticipant, "INF", "informant"}
)

// Kinds of network addresses (AuditEvent.agent.network.type).
const (
	networkAddress = "2"
	networkURI     = "5"
)

// agents lists the client system, this server and the user.
func agents(e *audit.Entry, base string) []agent {
	clientRole, serverRole, userRole := systemRoles(e)
	a := &e.Agent
	client := agent{Type: concept{Coding: []coding{clientRole}}, Requestor: a.Subject == ""}
	if a.Client != "" {
		client.Who = &reference{Identifier: &identifier{Value: a.Client}}
	}
	if a.Address != "" {
		client.Network = &network{a.Address, networkAddress}
	}
	server := agent{Type: concept{Coding: []coding{serverRole}}, Who: &reference{Display: "fieldseal " + e.Origin}}
	if base != "" {
		server.Network = &network{base, networkURI}
	}
	out := []agent{client, server}
	if a.Subject == "" && a.Who == "" {
		return out
	}
	return append(out, user(e, userRole))
}

func user(e *audit.Entry, role coding) agent {
	a := &e.Agent
	u := agent{Type: concept{Coding: []coding{role}}, AltID: a.Subject, Requestor: true}
	if a.Who != "" {
		u.Who = &reference{Reference: a.Who}
	} else {
		u.Who = &reference{Identifier: &identifier{Value: a.Subject}}
	}
	for _, r := range a.Roles {
		u.Role = append(u.Role, concept{Text: r})
	}
	if e.PolicyRevision != "" {
		u.Policy = []string{policyBase + e.PolicyRevision}
	}
	if a.Purpose != "" {
		u.Purpose = []concept{{Coding: []coding{{System: systemReason, Code: a.Purpose}}}}
	}
	return u
}

// systemRoles are the roles of client, server and user that the BALP profiles
// fix for an interaction.
func systemRoles(e *audit.Entry) (client, server, user coding) {
	switch {
	case e.Kind != audit.REST:
		return applicationRole, destinationRole, informantRole
	case e.Action == audit.Delete:
		return applicationRole, custodianRole, informantRole
	case e.Action == audit.Read:
		return destinationRole, sourceRole, recipientRole
	case e.Action == audit.Execute:
		return sourceRole, destinationRole, recipientRole
	default:
		return sourceRole, destinationRole, informantRole
	}
}
