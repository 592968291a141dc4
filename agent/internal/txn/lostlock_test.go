package txn

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/lock"
)

// TestALockThatWasLostIsFound: a transaction that locks a row again, whose lock went with the
// leader that knew of it, is not given what another has made of the row meanwhile: it has
// decided by what the row was. A job of a queue was taken twice by two statements that way.
func TestALockThatWasLostIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if found := lostLock(t, Planted{}); found != "" {
			t.Error(found)
		}
	})
}

// lostLock has a transaction lose its lock of a row, which another changes, and one of a row
// that nobody changes; it says what is wrong then.
func lostLock(t *testing.T, p Planted) string {
	m := newModel(t, 2, 4)
	m.managers[1].Close()
	mgr := m.start(1, 2, p)
	is := m.apart(t, 3)
	if _, err := m.managers[2].Begin(ReadCommitted, Info{}).Commit(t.Context(), []kv.Mutation{put(is[0], "waiting"), put(is[1], "waiting")}, 0); err != nil {
		t.Fatal(err)
	}
	x := mgr.Begin(ReadCommitted, Info{})
	if _, _, err := x.Lock(t.Context(), lockRequest(is...)); err != nil {
		t.Fatal(err)
	}
	m.unlock(x.ID(), func(string) bool { return true }) // as a leader that crashes does
	if _, err := m.managers[2].Begin(ReadCommitted, Info{}).Commit(t.Context(), []kv.Mutation{put(is[0], "taken")}, 0); err != nil {
		t.Fatal(err)
	}
	if rows, _, err := x.Lock(t.Context(), lockRequest(is[1:]...)); err != nil || string(rows[0].Value) != "waiting" || rows[1].Value != nil {
		return fmt.Sprintf("rows that nobody has changed: %q, %v", rows, err)
	}
	_, _, err := x.Lock(t.Context(), lockRequest(is[0]))
	x.Rollback()
	var conflict *ConflictError
	if !errors.As(err, &conflict) {
		return fmt.Sprintf("what another has taken meanwhile is locked again: %v", err)
	}
	return ""
}

// TestARecordThatOthersKnowStays: a transaction that has locked a row durably commits by the
// record that those were told who met the lock, also where others wait for another row that it
// writes: they may have aborted it there.
func TestARecordThatOthersKnowStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if found := movedRecord(t, Planted{}); found != "" {
			t.Error(found)
		}
	})
}

// movedRecord has another transaction take a row from one whose gateway is silent, and which
// commits then beside a row that is in demand; it says what is wrong.
func movedRecord(t *testing.T, p Planted) string {
	m := newModel(t, 2, 4)
	m.managers[1].Close()
	mgr := m.start(1, 2, p)
	is := m.apart(t, 3)
	x, other := mgr.Begin(ReadCommitted, Info{}), m.managers[2].Begin(ReadCommitted, Info{})
	r := lockRequest(is[0])
	r.Durable = true
	if _, _, err := x.Lock(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	m.silence(1, true)
	if _, _, err := other.Lock(t.Context(), lockRequest(is[0])); err != nil {
		t.Fatal(err)
	}
	m.silence(1, false)
	mgr.contended(row(is[1]))
	_, err := x.Commit(t.Context(), []kv.Mutation{put(is[1], "decided"), put(is[2], "under the lock")}, 0)
	other.Rollback()
	var conflict *ConflictError
	if !errors.As(err, &conflict) {
		return fmt.Sprintf("it commits, and another has its lock: %v", err)
	}
	return ""
}

// TestAKeyThatIsSharedChanges: under FOR KEY SHARE others change a row, but for its key, and
// who locks it for more then has lost nothing.
func TestAKeyThatIsSharedChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel(t, 2, 4)
		x := m.managers[1].Begin(ReadCommitted, Info{})
		r := lockRequest(1)
		r.Strength = lock.KeyShare
		if _, _, err := x.Lock(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		m.write([]datastate.Op{{Row: row(1), Kind: datastate.Put, Value: []byte("changed")}}, m.entry())
		if rows, _, err := x.Lock(t.Context(), lockRequest(1)); err != nil || string(rows[0].Value) != "changed" {
			t.Errorf("locked for more: %q, %v", rows, err)
		}
		x.Rollback()
	})
}
