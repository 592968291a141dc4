//go:build planted

package exec

// Planted are faults that tests plant, to prove that they are found.
type Planted struct {
	// OldEntryStays has an UPDATE leave the entries of the row as it was.
	OldEntryStays bool
	// ParentUnlocked has who refers to a row look at it, and not lock it.
	ParentUnlocked bool
	// BlindBackfill has entries that are filled in take the place of newer ones.
	BlindBackfill bool
	// PassWritten passes over rows of which somebody has written an entry while they were
	// filled in.
	PassWritten bool
	// TakeEntry has an entry that is filled in take the place of another row's.
	TakeEntry bool
	// MissDeleteOnly has who writes not know of indexes that are only deleted from.
	MissDeleteOnly bool
	// ReadAnyVersion has who reads an index not say by which version of its table.
	ReadAnyVersion bool
	// KeyShareBlind has FOR KEY SHARE take rows as the lock shows them, without the intents
	// that are not in its way.
	KeyShareBlind bool
	// ValuesUnlocked has who writes rows look whether others have their values, of a
	// deferrable constraint, and not lock these.
	ValuesUnlocked bool
	// ItemLost leaves the last entry of a document out of an inverted index.
	ItemLost bool
	// MissNewPlace has who writes to a table that is moved write only where it was.
	MissNewPlace bool
	// MoveAtOnce has who writes to a table that is moved leave rows where it goes while others
	// may not know of the move.
	MoveAtOnce bool
	// CopyOldTypes has who writes to a table whose columns become of other types write rows in
	// the new place as they are in the old one.
	CopyOldTypes bool
}

func (p Planted) oldEntryStays() bool { return p.OldEntryStays }

func (p Planted) parentUnlocked() bool { return p.ParentUnlocked }

func (p Planted) blindBackfill() bool { return p.BlindBackfill }

func (p Planted) passesWritten() bool { return p.PassWritten }

func (p Planted) takesEntry() bool { return p.TakeEntry }

func (p Planted) missesDeleteOnly() bool { return p.MissDeleteOnly }

func (p Planted) readsAnyVersion() bool { return p.ReadAnyVersion }

func (p Planted) keyShareBlind() bool { return p.KeyShareBlind }

func (p Planted) itemLost() bool { return p.ItemLost }

func (p Planted) valuesUnlocked() bool { return p.ValuesUnlocked }

func (p Planted) missesNewPlace() bool { return p.MissNewPlace }

func (p Planted) movesAtOnce() bool { return p.MoveAtOnce }

func (p Planted) copiesOldTypes() bool { return p.CopyOldTypes }
