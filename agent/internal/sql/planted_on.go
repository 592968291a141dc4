//go:build planted

package sql

import "github.com/nodedb/nodedb/agent/internal/sql/exec"

// Planted are faults that tests plant, to prove that they are found.
type Planted struct {
	// GuessBlock has a node whose answer was lost take the block that it has asked for.
	GuessBlock bool
	// EndAfter has the end of a schedule's run be recorded after its transaction.
	EndAfter bool
	// MissTrigger has a change of triggers be answered before ranges refuse those who have
	// not heard of it.
	MissTrigger bool
	// MissBody has a change of the function of a trigger be no change of the trigger's table.
	MissBody bool
	// Exec are those of the fast path.
	Exec exec.Planted
}

func (p Planted) guessBlock() bool { return p.GuessBlock }

func (p Planted) endAfter() bool { return p.EndAfter }

func (p Planted) missTrigger() bool { return p.MissTrigger }

func (p Planted) missBody() bool { return p.MissBody }

func (p Planted) exec() exec.Planted { return p.Exec }
