//go:build planted

package exec

// Planted are faults that tests plant, to prove that they are found.
type Planted struct {
	// OldEntryStays has an UPDATE leave the entries of the row as it was.
	OldEntryStays bool
}

func (p Planted) oldEntryStays() bool { return p.OldEntryStays }
