package replica

import (
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/evaluation"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// StateMachine is what a range replicates. It is an Applier, as that of package
// metastate, or an Evaluator, as that of package datastate.
type StateMachine interface {
	// Reload is called after open and after a snapshot was installed, with the
	// new state of the range that desc describes.
	Reload(r storage.Reader, desc *cluster.RangeDescriptor) error
}

// Applier evaluates commands where they are applied, on every replica alike.
type Applier interface {
	StateMachine
	// Apply applies the command of the entry at index and returns its result. It
	// writes to w, which nobody can read yet, and reads memory only. It is
	// deterministic and never fails: a refusal is a result, and so is malformed
	// input. An error means that the engine failed: the replica stops. command is
	// valid during the call.
	Apply(w storage.Writer, desc *cluster.RangeDescriptor, index uint64, ts hlc.Timestamp, command []byte) (result []byte, err error)
}

// Evaluator has the leader evaluate requests. What it replicates are commands that
// hold outcomes only.
type Evaluator interface {
	StateMachine
	// Open reads a request. An error says that this binary cannot.
	Open(request []byte) (evaluation.Request, error)
	// Record makes the command that writes nothing but result, under its id.
	Record(result []byte) (command []byte)
	// Write applies a command at ts and returns its result; applied is false if it
	// names what the range does not own: then nothing is written. It reads nothing but its
	// arguments, and depends on nothing else: equal inputs give equal bytes on every
	// replica. An error means that the engine failed or that this binary cannot read
	// the command: the replica stops. command is valid during the call.
	Write(w storage.Writer, desc *cluster.RangeDescriptor, ts hlc.Timestamp, command []byte) (result []byte, applied bool, err error)
	// Mirror is what transactions have left in the range, as the last command that was
	// written leaves it.
	Mirror() evaluation.Mirror
	// Show tells that what a Mirror shows is committed to the engine.
	Show(m evaluation.Mirror)
	// Shown is what Show showed last, or Reload found. Any goroutine may ask.
	Shown() evaluation.Mirror
	// Narrow tells that the range is what desc describes from here on.
	Narrow(desc *cluster.RangeDescriptor)
}
