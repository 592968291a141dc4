package ctl

import (
	"testing"

	"github.com/nodedb/nodedb/client/adminpb"
)

func TestFindNode(t *testing.T) {
	node := func(id uint32, name, uuid, membership, addr string) *adminpb.Node {
		return &adminpb.Node{Id: id, Name: name, Uuid: uuid, Membership: membership, Addresses: &adminpb.Addresses{Admin: addr + ":6480", Sql: addr + ":6432"}}
	}
	nodes := []*adminpb.Node{
		node(1, "alpha", "7e571000", "active", "10.0.0.1"), node(2, "beta", "7e572000", "active", "10.0.0.2"),
		node(3, "gamma", "abcd3000", "active", "10.0.0.3"), node(4, "alpha", "eeee4000", "decommissioned", "10.0.0.1"),
	}
	for arg, want := range map[string]uint32{
		"alpha": 1, "1": 1, "n1": 1, "10.0.0.1": 1, "10.0.0.1:6432": 1, "7E571": 1, "n2": 2, "beta": 2, "gamma": 3, "n3": 3, "3": 3, "abcd": 3, "n4": 4, "eeee": 4,
	} {
		if n, err := FindNode(nodes, arg); err != nil || n.GetId() != want {
			t.Errorf("%q: got n%d %v, want n%d", arg, n.GetId(), err, want)
		}
	}
	for arg, want := range map[string]Exit{
		"7e57": Usage, "abc": NotFound, "": NotFound, "n9": NotFound, "10.0.0": NotFound,
	} {
		if n, err := FindNode(nodes, arg); CodeOf(err) != want {
			t.Errorf("%q: got n%d %v, want exit %d", arg, n.GetId(), err, want)
		}
	}
}
