package field

// StorageID is the storage key of a resource (the bytes of
// repository.StorageID).
type StorageID = [16]byte

// Label is one coding of meta.security.
type Label struct{ System, Code string }

// Binding is what every ciphertext of a record is bound to: it opens nowhere
// else.
type Binding struct {
	Tenant  [16]byte
	Type    string
	Key     StorageID
	Version uint64
}

// Head is group 0: the bookkeeping of a version that is always opened and on
// which decisions are made.
type Head struct {
	ID      string // logical id
	Updated int64  // lastUpdated, microseconds since the Unix epoch
	Deleted bool
	// Upsert marks a version that an update created: under a new id, or after a
	// deletion.
	Upsert   bool
	Owner    StorageID
	Patients []StorageID // patient compartments
	// PatientIDs are the logical ids of Patients, in the same order, so that an
	// access event can name them without opening an element.
	PatientIDs []string
	Orgs       []StorageID
	Security   []Label
	// Present are the classes that hold at least one slot.
	Present ClassSet
	// Modifiers are the classes that hold a modifier element (isModifier):
	// when a mask hides one of them the resource is withheld.
	Modifiers ClassSet

	outline outline // set by OpenHead
}
