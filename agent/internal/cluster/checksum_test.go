package cluster

import (
	"fmt"
	"testing"
)

// TestCompare: who differs from most, at which entry, and who has not told.
func TestCompare(t *testing.T) {
	d := &RangeDescriptor{ID: 5, Replicas: []ReplicaDescriptor{{Node: 1, Replica: 1}, {Node: 2, Replica: 2}, {Node: 3, Replica: 3}}}
	at := func(index, sum uint64) Checksum { return Checksum{Index: index, Generation: 4, Sum: sum, Versions: 9} }
	void := Checksum{Index: 20, Void: true}
	other := Checksum{Index: 20, Generation: 5, Sum: 8, Versions: 9}
	for _, x := range []struct {
		name string
		told map[NodeID][]Checksum
		want string
	}{
		{"nothing", nil, "0 [] [] []"},
		{"all alike", map[NodeID][]Checksum{1: {at(20, 7)}, 2: {at(20, 7)}, 3: {at(20, 7)}}, "20 [n1 n2 n3] [] []"},
		{"one differs", map[NodeID][]Checksum{1: {at(20, 7)}, 2: {at(20, 8)}, 3: {at(20, 7)}}, "20 [n1 n3] [n2] []"},
		{"two that differ", map[NodeID][]Checksum{1: {at(20, 7)}, 2: {at(20, 8)}}, "20 [] [n1 n2] [n3]"},
		{"three that differ", map[NodeID][]Checksum{1: {at(20, 7)}, 2: {at(20, 8)}, 3: {at(20, 9)}}, "20 [] [n1 n2 n3] []"},
		{"one alone", map[NodeID][]Checksum{1: {at(20, 7)}}, "20 [n1] [] [n2 n3]"},
		{"a new one begins", map[NodeID][]Checksum{1: {at(30, 1), at(20, 7)}, 2: {at(20, 8)}, 3: {at(20, 7)}}, "20 [n1 n3] [n2] []"},
		{"the newer of two", map[NodeID][]Checksum{1: {at(30, 1), at(20, 7)}, 2: {at(30, 1), at(20, 8)}, 3: {at(30, 1), at(20, 7)}}, "30 [n1 n2 n3] [] []"},
		{"one could not", map[NodeID][]Checksum{1: {at(20, 7)}, 2: {void}, 3: {at(20, 7)}}, "20 [n1 n3] [] [n2]"},
		{"of another generation", map[NodeID][]Checksum{1: {at(20, 7)}, 2: {other}, 3: {at(20, 7)}}, "20 [n1 n3] [] [n2]"},
		{"a node that has none of the range any more", map[NodeID][]Checksum{1: {at(20, 7)}, 3: {at(20, 7)}, 9: {at(20, 8)}}, "20 [n1 n3] [] [n2]"},
	} {
		c := Compare(d, func(r ReplicaDescriptor) []Checksum { return x.told[r.Node] })
		if got := fmt.Sprint(c.Index, c.Same, c.Differ, c.Untold); got != x.want {
			t.Errorf("%s: %s, want %s", x.name, got, x.want)
		}
	}
}
