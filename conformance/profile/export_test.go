package profile

// Demanded are the members of the root that must be there.
func (s *Structure) Demanded() (names []string) {
	for _, n := range s.root.children {
		if n.min > 0 {
			names = append(names, n.name)
		}
	}
	return names
}
