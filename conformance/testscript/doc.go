// Package testscript runs FHIR R4 TestScript resources (R4 testing.html,
// testscript.html) against any FHIR server over HTTP.
//
// Start with Load, which reads scripts with their fixtures, and Runner.Run,
// which executes one and returns a Result; Table and JUnit print results. A
// script's setup, tests and teardown are run in order. The first assertion of a
// part that fails ends the part, so that later requests do not work on what is
// not there; without its setup no test is run; teardown and the deletion of
// fixtures are always tried.
//
// Beyond R4 it knows what public suites use: the operator matchesRegex with
// responseBody, and the assertions that run another script (subtest.go). What
// it cannot judge is reported as skipped with the reason: conformance to a
// profile, and bodies in XML. The body of an update gets the id of its URL.
//
// Security notes: the bearer token goes to the given base only; a URL elsewhere
// is refused, whatever a script or a server's link says. Redirects are not
// followed. Fixtures are read below the folder of their script.
package testscript
