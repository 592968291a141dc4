package agent

import (
	"errors"
	"fmt"
	"time"

	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/storage"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// StoredClock is what the store of a node that does not run says of its clock.
type StoredClock struct {
	Identity Identity
	// Ceiling is what the next start begins above; zero: the node has not spoken yet.
	Ceiling time.Time
	// Newest is the newest timestamp in the store, to the millisecond, rounded up, and
	// Where what has it.
	Newest time.Time
	Where  string
	// Lowered says that the ceiling was lowered, from Ceiling.
	Lowered bool
}

// ClockOffline reads every log and the versions of rows in the store of a node that
// does not run. If to is not zero and nothing in the store is at to or above, it
// lowers the ceiling of the node's clock to it. It refuses while the node runs.
//
// What it proves is that the store holds nothing above. It cannot prove what left no
// trace there: reads that were answered at timestamps above, and what the node
// promised to leaders. Both concern processes that run: all nodes of the cluster must
// have stopped.
func ClockOffline(dir string, to time.Time) (StoredClock, error) {
	id, err := LoadIdentity(dir)
	if err != nil {
		return StoredClock{}, err
	}
	if err := refuseDecommissioned(dir, id); err != nil {
		return StoredClock{}, err
	}
	lock, err := lockDir(dir, 0)
	if err != nil {
		return StoredClock{}, err
	}
	defer lock.release()
	engine, err := storage.Open(storage.Options{Dir: storePath(dir), ReadOnly: to.IsZero()})
	if errors.Is(err, storage.ErrCorruption) {
		return StoredClock{}, StoreLost(dir, err.Error())
	}
	if err != nil {
		return StoredClock{}, &ExitError{Code: ExitDataDir, Message: "open the store", Err: err}
	}
	out := StoredClock{Identity: id}
	var times store.Times
	if to.IsZero() {
		times, err = store.ReadTimes(engine, replica.Planted{})
	} else {
		times, err = store.LowerCeiling(engine, to, replica.Planted{})
		out.Lowered = err == nil && times.Ceiling.Time().After(to)
	}
	if e := engine.Close(); err == nil {
		err = e
	}
	if times.Ceiling != 0 {
		out.Ceiling = times.Ceiling.Time()
	}
	if out.Where = times.Newest.Where; out.Where != "" {
		out.Newest = times.Newest.TS.Time().Add(time.Millisecond)
	}
	var above *store.AboveError
	switch {
	case errors.As(err, &above):
		return out, &ExitError{Code: ExitDataDir, Message: fmt.Sprintf("the clock of %s cannot begin there, and nothing was changed: %v", id.Node, above)}
	case err != nil:
		return out, &ExitError{Code: ExitDataDir, Message: "read the store's times", Err: err}
	}
	return out, nil
}
