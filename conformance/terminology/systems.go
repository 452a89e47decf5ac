package terminology

// systems collects the code systems that a value set draws from.
type systems struct {
	*call
	list      []string
	has       map[string]bool
	seen      map[*valueSet]bool
	undecided error
}

func (s *systems) add(system string) {
	if !s.has[system] {
		s.has[system] = true
		s.list = append(s.list, system)
	}
}

func (s *systems) of(v *valueSet) error {
	if s.seen[v] {
		return nil
	}
	s.seen[v] = true
	if err := s.enter(v); err != nil {
		return err
	}
	defer s.leave()
	for _, l := range v.listed {
		s.add(l.System)
	}
	for i := range v.include {
		if v.include[i].system != "" {
			s.add(v.include[i].system)
			continue
		}
		for _, r := range v.include[i].sets {
			set, err := s.refer(r)
			if err == nil {
				err = s.of(set)
			}
			if err != nil && !open(err) {
				return err
			}
			if err != nil {
				s.undecided = err
			}
		}
	}
	return s.visit(len(v.listed) + len(v.include))
}
