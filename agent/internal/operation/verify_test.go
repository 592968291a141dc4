package operation

import (
	"slices"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
)

// TestRangesAreComparedInTurn: every range once in an interval, no two at one moment
// by habit, and never when it is switched off.
func TestRangesAreComparedInTurn(t *testing.T) {
	for _, every := range []time.Duration{12 * time.Minute, 0} {
		r := newRig(t, 1, 3, 3, 8)
		r.must(metastate.Command{SetSetting: &metastate.SetSetting{Name: metastate.SettingVerifyEvery, Value: every.String()}})
		r.verified = nil
		r.rest(time.Minute)
		from := r.now
		r.pass(38 * time.Minute)
		at := map[cluster.RangeID][]time.Time{}
		for _, v := range r.verified {
			if v.at.After(from) {
				at[v.id] = append(at[v.id], v.at)
			}
		}
		if every == 0 {
			if len(at) > 0 {
				t.Errorf("compared although it is switched off: %v", at)
			}
			continue
		}
		var first []time.Time
		for id := range cluster.RangeID(9) {
			if id++; len(at[id]) != 3 && len(at[id]) != 4 {
				t.Errorf("%s was compared at %v in three intervals", id, at[id])
				continue
			}
			first = append(first, at[id][0])
		}
		if len(first) == 0 {
			t.FailNow()
		}
		slices.SortFunc(first, time.Time.Compare)
		if spread := first[len(first)-1].Sub(first[0]); spread < every/2 {
			t.Errorf("all ranges are compared within %s", spread)
		}
	}
}

// TestADivergedRangeIsAnEvent: once for each entry at which it is found, and no more
// once the replica is another.
func TestADivergedRangeIsAnEvent(t *testing.T) {
	r := newRig(t, 1, 3, 3, 4)
	r.rest(time.Minute)
	told := func(index uint64) (n int) {
		for _, e := range r.view().Events {
			if e.Kind == cluster.EventRangeDiverged && e.Range == 3 && e.Node == 2 && e.Data["index"] == map[uint64]string{20: "20", 30: "30"}[index] {
				n++
			}
		}
		return n
	}
	say := func(index, other uint64) {
		r.sums[3] = map[cluster.NodeID][]cluster.Checksum{}
		for node := cluster.NodeID(1); node <= 3; node++ {
			c := cluster.Checksum{Index: index, At: r.now, Generation: 4, Sum: 7}
			if node == 2 {
				c.Sum = other
			}
			r.sums[3][node] = []cluster.Checksum{c}
		}
		r.pass(10 * time.Second)
	}
	say(20, 7)
	if told(20) != 0 || diverged(r) != 0 {
		t.Error("replicas that hold the same are said to differ")
	}
	say(20, 8)
	if told(20) != 1 || diverged(r) != 1 {
		t.Errorf("%d events of a range that has diverged, %d ranges", told(20), diverged(r))
	}
	say(30, 8)
	if told(20) != 1 || told(30) != 1 {
		t.Errorf("found again later: %d and %d events", told(20), told(30))
	}
	say(30, 7)
	if diverged(r) != 0 {
		t.Error("it is said to differ for ever")
	}
}

// pass lets time go by.
func (r *rig) pass(d time.Duration) {
	r.t.Helper()
	end := r.now.Add(d)
	r.until("time passes", d+time.Minute, func() bool { return !r.now.Before(end) })
}

func diverged(r *rig) int { return r.nodes[r.ranges[cluster.MetaRangeID].leader].ctl.Diverged() }
