//go:build planted

package kv

// Planted are faults that tests plant, to prove that the simulation finds them.
type Planted struct {
	// WideScan reads the whole of a vshard of which a range owns a part.
	WideScan bool
	// NarrowScope has a scan wait for what is written to its first vshard only.
	NarrowScope bool
	// ReadAgain has a program whose chunk is full go on behind the chunk's first row.
	ReadAgain bool
}

func (p Planted) wideScan() bool    { return p.WideScan }
func (p Planted) readsAgain() bool  { return p.ReadAgain }
func (p Planted) narrowScope() bool { return p.NarrowScope }
