// Package suite holds black-box tests: they build the fieldseal binary, start
// it on its demo data and speak to it as clients, operators and attackers do,
// over HTTP, raw TCP, the command line, signals and the files that it leaves.
//
// Start with harness_test.go (building, one demo data folder that every server
// gets a copy of), server_test.go (start, stop, kill) and client_test.go. The
// other files are named for what they try.
//
// Nothing of ours is imported but fhir/fhirtest, for data: what is asserted
// here is what a stranger can see. FIELDSEAL_LONG=1 runs the long forms (200
// crashes, timing); FIELDSEAL_RACE=1 builds the server with the race detector;
// FIELDSEAL_SUITE_ENGINE=mongodb gives every server a database (engine_test.go).
// A test ends only processes that it started.
package suite
