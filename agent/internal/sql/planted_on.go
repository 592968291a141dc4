//go:build planted

package sql

// planted are faults that tests plant, to prove that they are found.
type planted struct {
	// GuessBlock has a node whose answer was lost take the block that it has asked for.
	GuessBlock bool
	// EndAfter has the end of a schedule's run be recorded after its transaction.
	EndAfter bool
}

func (p planted) guessBlock() bool { return p.GuessBlock }

func (p planted) endAfter() bool { return p.EndAfter }
