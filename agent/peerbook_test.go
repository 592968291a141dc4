package agent

import (
	"os"
	"slices"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/metastate"
)

func TestPeerBook(t *testing.T) {
	dir := t.TempDir()
	b, err := openPeerBook(dir)
	if err != nil {
		t.Fatal(err)
	}
	stored := []PeerAddress{{Node: 2, UUID: "u2", RPC: "b:1"}, {Node: 3, UUID: "u3", RPC: "c:1"}}
	for range 2 {
		if err := b.keep(stored); err != nil {
			t.Fatal(err)
		}
	}
	if b, err = openPeerBook(dir); err != nil {
		t.Fatal(err)
	}
	want := func(what string, id cluster.NodeID, record *cluster.Node, rpc string) {
		t.Helper()
		if got, ok := b.find(id, record); got.RPC != rpc || ok != (rpc != "") {
			t.Errorf("%s: got %+v, %v, want %q", what, got, ok, rpc)
		}
	}
	record := &cluster.Node{ID: 2, UUID: "u2", Addresses: cluster.Addresses{RPC: "b:2"}}
	want("stored", 2, nil, "b:1")
	want("unknown", 9, nil, "")
	want("the meta range knows better", 2, record, "b:2")
	b.tell(PeerAddress{Node: 2, RPC: "b:3"}, record.Addresses)
	b.tell(PeerAddress{Node: 4, RPC: "d:1"}, cluster.Addresses{})
	want("told", 2, record, "b:3")
	want("told, and the record has changed since", 2, &cluster.Node{ID: 2, Addresses: cluster.Addresses{RPC: "b:4"}}, "b:4")
	want("told of a node without a record", 4, nil, "d:1")

	none := &metastate.View{}
	if got := b.members(none); !slices.Equal(got, []cluster.NodeID{2, 3, 4}) {
		t.Errorf("members without a view: %v", got)
	}
	some := &metastate.View{Nodes: map[cluster.NodeID]*cluster.Node{1: {ID: 1}, 2: record, 4: {ID: 4, Membership: cluster.Decommissioned}}}
	if got := b.members(some); !slices.Equal(got, []cluster.NodeID{1, 2}) {
		t.Errorf("members of a view: %v", got)
	}
	if err := os.WriteFile(peersPath(dir), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = openPeerBook(dir)
	wantExit(t, err, ExitDataDir, "may be removed")
}
