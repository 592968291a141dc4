package txn

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/kv"
)

// TestAnAbortedRecordOutlivesALateCommit: a commit is refused because others have aborted
// the transaction at its record. An earlier attempt of the same command that arrives
// afterwards finds the record still, for as long as a range takes it.
func TestAnAbortedRecordOutlivesALateCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel(t, 2, 4)
		is := m.apart(t, 2)
		m.commitOK(t, m.managers[1], put(is[0], "0"), put(is[1], "0"))
		pass(time.Second)
		u := transferOf(t, m, m.managers[1], is...)
		var late *datastate.Commit
		m.hooked(func(c *kv.Call, after bool) error {
			if r, ok := c.Request.(*datastate.Commit); ok && !after {
				late = r
				if _, err := m.managers[2].push(t.Context(), r.Txn, r.Record, true, 0); err != nil {
					t.Error(err)
				}
			}
			return nil
		})
		_, err := u.x.Commit(t.Context(), u.muts, 0)
		m.hooked(nil)
		var conflict *ConflictError
		if !errors.As(err, &conflict) {
			t.Fatalf("the commit ended with %v", err)
		}
		pass(lateAge - 5*time.Second) // all else is cleaned up
		c := &kv.Call{Range: m.RangeOf(late.Record), Request: late}
		m.Do(t.Context(), []*kv.Call{c})
		if c.Result.Outcome != datastate.Aborted {
			t.Errorf("a late attempt: %+v", c.Result)
		}
		m.want(t, m.managers[2], m.clock.Now(), is, "0", "0")
		pass(10 * time.Second)
		if m.left() != "" {
			t.Error(m.left())
		}
	})
}
