package policy

// What is no patient data has nobody who could consent: rules name
// not_patient_data for it.
var consented = predicate{
	name: "consent",
	doc:  "the consents of all patients whose compartment holds the resource permit the request, or the base policy for its purpose where a patient has none",
	ask:  func(in input) (bool, error) { return in.facts.More.Consented() },
}
