package placement

// Wanted returns how many voters r should have: as declared for a data range,
// an odd number that grows with the membership for the meta range.
func (s *Snapshot) Wanted(r *Range) int { return s.wanted(r) }
