package cluster

import (
	"errors"
	"testing"
)

func TestNumberOfName(t *testing.T) {
	for name, want := range map[string]struct {
		id NodeID
		ok bool
	}{
		"n4": {4, true}, "n65536": {65536, true}, "n65537": {}, "n99999999999": {},
		"4": {}, "n04": {}, "n0": {}, "007": {}, "N4": {},
		"alpha": {0, true}, "n": {0, true}, "n4a": {0, true}, "node4": {0, true}, "n-4": {0, true}, "10.0.0.4": {0, true},
	} {
		id, err := NumberOfName(name)
		if id != want.id || (err == nil) != want.ok {
			t.Errorf("%q: number %d, %v; want %d, ok %v", name, id, err, want.id, want.ok)
		}
	}
}

func TestFindNode(t *testing.T) {
	node := func(id NodeID, name, uuid, admin string, m Membership) *Node {
		return &Node{ID: id, Name: name, UUID: uuid, Addresses: Addresses{Admin: admin}, Membership: m}
	}
	nodes := map[NodeID]*Node{
		1: node(1, "n1", "aaaa1111", "10.0.0.1:6480", Active),
		2: node(2, "alpha", "bbbb2222", "10.0.0.2:6480", Decommissioned),
		3: node(3, "alpha", "bbbb3333", "10.0.0.2:6480", Active),
		4: node(4, "n4", "12345678", "10.0.0.4:6480", Active),
		5: node(5, "beta", "cccc5555", "10.0.0.4:7480", Active),
	}
	for text, want := range map[string]NodeID{
		"n1": 1, "1": 1, "n2": 2, "alpha": 3, "beta": 5, "10.0.0.2": 3, "10.0.0.4:7480": 5,
		"AAAA": 1, "12345": 4, "n4": 4,
	} {
		if n, err := FindNode(nodes, text); err != nil || n.ID != want {
			t.Errorf("%q: got %v, %v, want %s", text, n, err, want)
		}
	}
	for _, text := range []string{"", "n9", "aaa", "gamma", "10.0.0"} {
		if n, err := FindNode(nodes, text); !errors.Is(err, ErrNoNode) {
			t.Errorf("%q: got %v, %v, want none", text, n, err)
		}
	}
	var ambiguous *AmbiguousNodeError
	if _, err := FindNode(nodes, "10.0.0.4"); !errors.As(err, &ambiguous) || len(ambiguous.Nodes) != 2 {
		t.Errorf("a host of two nodes: %v, want AmbiguousNodeError", err)
	}
}
