package txn

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
)

// TestAnIdleTransactionDoesNotKeepAPlaceFromBeingClosed: who closes a place waits for those
// that hold locks there for a while, and then aborts them; a fence that only asks for newer
// versions ends nobody.
func TestAnIdleTransactionDoesNotKeepAPlaceFromBeingClosed(t *testing.T) {
	for _, closes := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			m := newModel(t, 2, 4)
			holder := m.managers[1].Begin(ReadCommitted, Info{})
			r := lockRequest(1)
			r.Durable = true
			if _, _, err := holder.Lock(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			fence := cluster.SchemaFence{SchemaVersion: cluster.SchemaVersion{Collection: testCollection, Version: 9}}
			if closes {
				fence = cluster.Closing(testCollection)
			}
			begun := time.Now()
			if err := m.managers[2].Raise(t.Context(), 0, []cluster.SchemaFence{fence}); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begun); closes != (took >= closingGrace) || took > closingGrace+2*time.Second {
				t.Errorf("closes %v: it took %s", closes, took)
			}
			_, err := holder.Commit(t.Context(), nil, 0)
			if conflict := (*ConflictError)(nil); errors.As(err, &conflict) != closes {
				t.Errorf("closes %v: the holder's commit: %v", closes, err)
			}
			holder.Rollback()
			pass(time.Second)
			want := ""
			if closes { // the record that says aborted is the janitor's
				want = "0 intents, 0 locks, 1 records"
			}
			if m.left() != want {
				t.Errorf("closes %v: left: %s", closes, m.left())
			}
		})
	}
}

// raise is blocked by those who hold durable locks in a place that it closes.
func (m *model) raise(id cluster.RangeID, r *datastate.Raise) *datastate.Result {
	var by []datastate.Blocker
	for row, holders := range m.locks {
		for _, h := range holders {
			if h.durable && m.owner([]byte(row)) == id && r.Schemas[0].Closes() {
				by = append(by, datastate.Blocker{Txn: h.txn, Record: h.record, Row: []byte(row)})
			}
		}
	}
	if len(by) > 0 {
		return &datastate.Result{Outcome: datastate.Blocked, By: by}
	}
	until := cluster.VShard(cluster.VShards).Key()
	if i := int(id) - 1; i < len(m.bounds) {
		until = m.bounds[i].Key()
	}
	return &datastate.Result{Outcome: datastate.Applied, Until: until}
}
