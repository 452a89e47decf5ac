package compartment

// OwnerPaths lists the paths of the owner table for tests.
func (t *Table) OwnerPaths() map[string][][]string {
	all := map[string][][]string{}
	for typ, rule := range t.owners {
		for _, p := range rule.paths {
			all[typ] = append(all[typ], p.Members)
		}
	}
	return all
}

// OrgPaths lists the paths of the organization table for tests.
func (t *Table) OrgPaths() map[string][][]string {
	all := map[string][][]string{}
	for typ, rule := range t.orgs {
		for _, p := range rule.paths {
			all[typ] = append(all[typ], p.Members)
		}
	}
	return all
}

// PatientPaths lists the compiled compartment paths for tests.
func (t *Table) PatientPaths() map[string][][]string {
	all := map[string][][]string{}
	for typ, paths := range t.patients {
		for _, p := range paths {
			all[typ] = append(all[typ], p.Members)
		}
	}
	return all
}

// OwnerTypes lists the types that the owner table names.
func (t *Table) OwnerTypes() map[string]bool {
	all := map[string]bool{}
	for typ := range t.owners {
		all[typ] = true
	}
	return all
}
