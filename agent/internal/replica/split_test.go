package replica

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

func TestPlanSplit(t *testing.T) {
	d := threeVoters()
	d.ID, d.Start, d.End, d.Generation = 5, cluster.VShard(16).Key(), cluster.VShard(32).Key(), 7
	d.Replicas = append(d.Replicas, cluster.ReplicaDescriptor{Node: 9, Replica: d.NextReplica, Role: cluster.Learner})
	d.NextReplica++
	parent, child, err := planSplit(d, cluster.RangeSplit{At: cluster.VShard(20).Key(), Child: 66, Expect: 7})
	if err != nil {
		t.Fatal(err)
	}
	if parent.Start != cluster.VShard(16).Key() || parent.End != cluster.VShard(20).Key() || child.Start != cluster.VShard(20).Key() || child.End != cluster.VShard(32).Key() || parent.Generation != 8 || child.Generation != 8 {
		t.Errorf("halves %+v and %+v", parent, child)
	}
	if child.ID != 66 || child.Parent != 5 || child.Validate() != nil || len(child.Replicas) != len(d.Replicas) {
		t.Errorf("child %+v: %v", child, child.Validate())
	}
	for i, r := range child.Replicas {
		if was := d.Replicas[i]; r.Node != was.Node || r.Role != was.Role || r.Replica != cluster.ReplicaID(i+1) {
			t.Errorf("replica %+v of the child, %+v of the parent", r, was)
		}
	}
	if d.End != cluster.VShard(32).Key() || d.Generation != 7 {
		t.Error("the descriptor itself was changed")
	}
	joint := d.Clone()
	joint.Replicas[0].Role = cluster.VoterOutgoing
	meta := d.Clone()
	meta.ID = cluster.MetaRangeID
	for name, x := range map[string]struct {
		d *cluster.RangeDescriptor
		s cluster.RangeSplit
	}{
		"at the start":       {d, cluster.RangeSplit{At: cluster.VShard(16).Key(), Child: 66, Expect: 7}},
		"at the end":         {d, cluster.RangeSplit{At: cluster.VShard(32).Key(), Child: 66, Expect: 7}},
		"no child":           {d, cluster.RangeSplit{At: cluster.VShard(20).Key(), Expect: 7}},
		"child of its own":   {d, cluster.RangeSplit{At: cluster.VShard(20).Key(), Child: 5, Expect: 7}},
		"child is meta":      {d, cluster.RangeSplit{At: cluster.VShard(20).Key(), Child: cluster.MetaRangeID, Expect: 7}},
		"between two states": {joint, cluster.RangeSplit{At: cluster.VShard(20).Key(), Child: 66, Expect: 7}},
		"meta range":         {meta, cluster.RangeSplit{At: cluster.VShard(20).Key(), Child: 66, Expect: 7}},
	} {
		var no *InvalidChangeError
		if _, _, err := planSplit(x.d, x.s); !errors.As(err, &no) {
			t.Errorf("%s: %v, want an InvalidChangeError", name, err)
		}
	}
	var stale *StaleDescriptorError
	if _, _, err := planSplit(d, cluster.RangeSplit{At: cluster.VShard(20).Key(), Child: 66, Expect: 6}); !errors.As(err, &stale) {
		t.Errorf("another generation: %v, want a StaleDescriptorError", err)
	}
}

func FuzzDecodeSplit(f *testing.F) {
	b, err := json.Marshal(splitCommand{Format: splitFormat, Split: cluster.RangeSplit{At: cluster.VShard(20).Key(), Child: 66, Expect: 7}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"format":2}`))
	f.Fuzz(func(_ *testing.T, data []byte) { _, _ = decodeSplit(data) })
}
