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
	// MissCall has a change of a function that expressions of a table call be no change of the
	// table.
	MissCall bool
	// TellUndone has what a transaction notified be told although it was rolled back.
	TellUndone bool
	// KeepUndone has ROLLBACK TO take back nothing of what was notified.
	KeepUndone bool
	// CopyStays has the rows before the one that a COPY failed on be committed.
	CopyStays bool
	// NamedAgain has a query of WITH that others name run with those that nobody names, too.
	NamedAgain bool
	// SweepAtOnce has the temporary objects of nodes be dropped as soon as they seem to be gone.
	SweepAtOnce bool
	// Exec are those of the fast path.
	Exec exec.Planted
}

func (p Planted) guessBlock() bool { return p.GuessBlock }

func (p Planted) endAfter() bool { return p.EndAfter }

func (p Planted) missTrigger() bool { return p.MissTrigger }

func (p Planted) missBody() bool { return p.MissBody }

func (p Planted) missCall() bool { return p.MissCall }

func (p Planted) tellsUndone() bool { return p.TellUndone }

func (p Planted) keepsUndone() bool { return p.KeepUndone }

func (p Planted) copyStays() bool { return p.CopyStays }

func (p Planted) namedAgain() bool { return p.NamedAgain }

func (p Planted) sweepsAtOnce() bool { return p.SweepAtOnce }

func (p Planted) exec() exec.Planted { return p.Exec }
