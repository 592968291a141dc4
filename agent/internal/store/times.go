package store

import (
	"errors"
	"fmt"
	"time"

	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// Times is what a store that does not run holds of time.
type Times struct {
	// Ceiling is what the next start begins above; 0: the node has not spoken yet.
	Ceiling hlc.Timestamp
	// Newest is the newest timestamp of all entries of logs, of what was applied and
	// of all versions of rows.
	Newest replica.Newest
}

// ReadTimes reads them: every log as a whole, and of the versions those that are
// newer than what the logs and replicas say. It changes nothing.
func ReadTimes(r *storage.Engine, planted replica.Planted) (Times, error) {
	var t Times
	var err error
	if t.Ceiling, err = Ceiling(r); err != nil {
		return t, fmt.Errorf("read the clock's ceiling: %w", err)
	}
	ids, err := replica.List(r)
	if err != nil {
		return t, err
	}
	for _, id := range ids {
		n, err := replica.ReadNewest(r, id, planted)
		if err != nil {
			return t, err
		}
		if n.TS > t.Newest.TS {
			t.Newest = n
		}
	}
	return t, t.versions(r)
}

// versions looks for versions of rows above what is known. Blocks without such are
// skipped.
func (t *Times) versions(r *storage.Engine) error {
	all := keys.AllData()
	it, err := r.NewSpanIter(storage.Span{Start: all.Start, End: all.End, From: t.Newest.TS.Next(), To: hlc.Max})
	if err != nil {
		return fmt.Errorf("read versions: %w", err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		_, ts, err := keys.DecodeVersion(it.Key())
		if err != nil {
			return errors.Join(fmt.Errorf("read versions: %w", err), it.Close())
		}
		if ts > t.Newest.TS && ts != hlc.Max {
			t.Newest = replica.Newest{TS: ts, Where: fmt.Sprintf("a version of the row % x", it.Key()[:keys.Split(it.Key())])}
		}
	}
	return errors.Join(it.Err(), it.Close())
}

// AboveError refuses to lower a ceiling below what the store holds.
type AboveError struct {
	Times Times
	To    time.Time
}

func (e *AboveError) Error() string {
	return fmt.Sprintf("the store holds %s at %s, which is not before %s", e.Times.Newest.Where, e.Times.Newest.TS.Time().Format(time.RFC3339Nano), e.To.UTC().Format(time.RFC3339Nano))
}

// LowerCeiling lowers the ceiling of a store that does not run to a time, after it
// proved that no entry of a log, nothing that was applied and no version of a row is
// there or above: else it returns an *AboveError and changes nothing. It cannot
// prove what left no trace in the store: timestamps of reads that were answered, and
// what the node promised to leaders of ranges. So all nodes of the cluster must have
// stopped.
func LowerCeiling(e *storage.Engine, to time.Time, planted replica.Planted) (Times, error) {
	t, err := ReadTimes(e, planted)
	if err != nil {
		return t, err
	}
	ts := hlc.New(to)
	if t.Newest.TS >= ts {
		return t, &AboveError{Times: t, To: to}
	}
	if ts >= t.Ceiling {
		return t, nil // there is nothing to lower
	}
	b := e.NewWriteBatch()
	err = writeCeiling(b, ts)
	if err == nil {
		err = b.Commit(true)
	}
	if err = errors.Join(err, b.Close()); err != nil {
		return t, fmt.Errorf("store the clock's ceiling: %w", err)
	}
	return t, nil
}
