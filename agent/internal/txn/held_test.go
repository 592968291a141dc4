package txn

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nodedb/nodedb/agent/internal/evaluation"
)

// TestCommitSaysWhetherLocksWereHeld: a transaction that has written nothing, and whose
// locks others have got while its gateway was silent, is not told that it committed: it
// may have acted on what it thought that it had locked.
func TestCommitSaysWhetherLocksWereHeld(t *testing.T) {
	for _, lost := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			m := newModel(t, 3, 4)
			is := m.apart(t, 2)
			x := lockDurably(m, is)
			other := m.managers[2].Begin(ReadCommitted, Info{})
			if lost {
				m.silence(1, true)
				r := lockRequest(is[1])
				r.Wait = evaluation.Block
				if _, _, err := other.Lock(t.Context(), r); err != nil {
					t.Fatal(err)
				}
				m.silence(1, false)
			}
			_, err := x.Commit(t.Context(), nil, 0)
			var conflict *ConflictError
			if errors.As(err, &conflict) != lost || !lost && err != nil {
				t.Errorf("lost: %v, commit: %v", lost, err)
			}
			other.Rollback()
			pass(2 * lateAge)
			if m.left() != "" {
				t.Errorf("left: %s", m.left())
			}
		})
	}
	// Locks in memory alone are told to nobody, and cost no entry.
	synctest.Test(t, func(t *testing.T) {
		m := newModel(t, 1, 4)
		x := m.managers[1].Begin(ReadCommitted, Info{})
		if _, _, err := x.Lock(t.Context(), lockRequest(m.apart(t, 1)...)); err != nil {
			t.Fatal(err)
		}
		_, _, before := m.counts()
		if ts, err := x.Commit(t.Context(), nil, 0); ts != 0 || err != nil {
			t.Errorf("committed at %s: %v", ts, err)
		}
		pass(time.Second)
		if _, _, after := m.counts(); after != before {
			t.Errorf("%d entries", after-before)
		}
	})
}
