package operation

import (
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// TestSplitOutsideARangeNamesItsOwner: whoever names the wrong range is told which
// one holds the key.
func TestSplitOutsideARangeNamesItsOwner(t *testing.T) {
	v := newRig(t, 1, 3, 3, 4).view()
	d, ok := v.Range(3)
	other, found := v.RangeOf(d.Pool, d.End)
	if !ok || !found {
		t.Fatal("r3 has no neighbour")
	}
	owns := " is no boundary inside r3, which owns [" + d.Start.String() + "," + d.End.String() + ") of pool default"
	inside := (other.Start.VShard() + 1).Key()
	row := inside + "\x00\x00\x00\x00\x00\x00\x00\x07\x00k\x00"
	for at, want := range map[cluster.Key]string{
		inside:  inside.Text() + owns + "; it is inside " + other.ID.String(),
		row:     row.Text() + owns + "; it is inside " + other.ID.String(),
		d.Start: d.Start.Text() + owns,
	} {
		err := validateSplit(v, &cluster.OperationSpec{Kind: cluster.OpSplit, Range: 3, At: at})
		if err == nil || err.Error() != want {
			t.Errorf("split of r3 at %s: %v, want %q", at.Text(), err, want)
		}
	}
}
