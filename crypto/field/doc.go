// Package field decides the confidentiality class of every element of every
// R4 type and seals resources so that each class opens with a key of its own.
//
// Start with classes.yaml (the policy), Table (its expansion, reviewed in
// testdata/classes.golden) and Cipher. Seal cuts a resource into slots, the
// largest subtrees of one class; Open puts the visible ones together again.
//
// Security: hidden classes are neither derived nor opened. A record opens only
// at its tenant, type, storage key and version, under its owner's keys; a slot
// only at its place. What no rule names is Restricted. An extension, and
// whatever differs in class from the element it stands in, is shown only with
// that element. Errors never hold values.
//
// Kept compatible: the sealed format (docs/format/envelope.md), the numbers of
// the classes and the lines of names.txt.
package field
