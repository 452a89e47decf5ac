package policy

// Both sides are asked: a type of the Patient compartment stays patient data
// even when a resource names no patient, and a resource of another type that
// does lie in a compartment is patient data too.
var notPatientData = predicate{
	name:  "not_patient_data",
	doc:   "the type is in no patient compartment and the resource lies in none",
	holds: func(in input) bool { return !in.patientType && len(in.facts.Patients) == 0 },
}
