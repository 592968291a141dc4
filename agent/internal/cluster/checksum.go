package cluster

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Checksum is what a replica held once it had applied one entry of its range's
// log: the same on every replica, or they have diverged.
type Checksum struct {
	Index uint64    `json:"index"` // of the entry
	At    time.Time `json:"at"`    // of the entry, to the millisecond
	// Void says that the replica could not tell: the range changed before it was
	// read. What follows is 0 then.
	Void bool `json:"void,omitempty"`
	// Generation is the range's.
	Generation uint64 `json:"generation,omitempty"`
	Sum        uint64 `json:"sum,omitempty"`
	// Versions is how many versions of rows were read; records of the meta range.
	Versions uint64 `json:"versions,omitempty"`
}

// ChecksumsKept is how many checksums a replica remembers: while some have read at
// a new entry and others have not, all still have the one before.
const ChecksumsKept = 2

// Comparison is what the checksums of a range's replicas say together.
type Comparison struct {
	Index uint64    // 0: nothing was compared yet
	At    time.Time // of the entry
	// Same are the nodes whose replicas hold the same; Differ those that hold
	// something else than most. If no more than half hold the same, all differ:
	// nobody knows which is right.
	Same, Differ []NodeID
	// Untold are those of the descriptor that have not told, or could not.
	Untold []NodeID
}

// Compare compares the replicas of d at the newest entry at which the most of them
// have told; tells gives what the replica on a node has told.
func Compare(d *RangeDescriptor, tells func(ReplicaDescriptor) []Checksum) Comparison {
	type key struct{ index, generation uint64 }
	told := map[key][]NodeID{}
	sums := map[key]map[NodeID]Checksum{}
	var order []key
	for _, r := range d.Replicas {
		for _, c := range tells(r) {
			if c.Void {
				continue
			}
			k := key{c.Index, c.Generation}
			if sums[k] == nil {
				sums[k] = map[NodeID]Checksum{}
				order = append(order, k)
			}
			if _, twice := sums[k][r.Node]; !twice {
				told[k] = append(told[k], r.Node)
			}
			sums[k][r.Node] = c
		}
	}
	if len(order) == 0 {
		return Comparison{}
	}
	best := slices.MaxFunc(order, func(a, b key) int {
		return cmp.Or(cmp.Compare(len(told[a]), len(told[b])), cmp.Compare(a.index, b.index), cmp.Compare(a.generation, b.generation))
	})
	return compared(d, best.index, told[best], sums[best])
}

func compared(d *RangeDescriptor, index uint64, nodes []NodeID, sums map[NodeID]Checksum) Comparison {
	out := Comparison{Index: index, At: sums[nodes[0]].At}
	like := func(n NodeID) (same int) {
		for _, m := range nodes {
			if sums[m].Sum == sums[n].Sum && sums[m].Versions == sums[n].Versions {
				same++
			}
		}
		return same
	}
	for _, r := range d.Replicas {
		switch _, ok := sums[r.Node]; {
		case !ok:
			out.Untold = append(out.Untold, r.Node)
		case 2*like(r.Node) > len(nodes):
			out.Same = append(out.Same, r.Node)
		default:
			out.Differ = append(out.Differ, r.Node)
		}
	}
	return out
}

// Result is the comparison in one word: same, differ, or unknown (not all have told).
func (c *Comparison) Result() string {
	switch {
	case len(c.Differ) > 0:
		return "differ"
	case len(c.Same) > 0 && len(c.Untold) == 0:
		return "same"
	}
	return "unknown"
}

// Tell says of a range that has diverged who differs from whom, and where.
func (c *Comparison) Tell(id RangeID) string {
	if len(c.Same) == 0 {
		return fmt.Sprintf("the replicas of %s on %s hold different things at entry %d, and none what most hold", id, nodeList(c.Differ), c.Index)
	}
	return fmt.Sprintf("the replica of %s on %s holds something else at entry %d than those on %s", id, nodeList(c.Differ), c.Index, nodeList(c.Same))
}

func nodeList(ids []NodeID) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = id.String()
	}
	return strings.Join(texts, ", ")
}
