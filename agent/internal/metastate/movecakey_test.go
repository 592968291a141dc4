package metastate

import (
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// TestCAKeyMoves: only an admin's word lets the key go, for one move, once, for a
// minute.
func TestCAKeyMoves(t *testing.T) {
	s := newTester()
	for _, c := range []Command{
		initCommand(),
		{CreateJoinToken: &CreateJoinToken{ID: "j", Hash: []byte{1}, Uses: 2, ExpiresAt: s.clock.Add(time.Hour)}},
		{AddNode: &AddNode{UUID: "u2", TokenID: "j", TokenHash: []byte{1}, KeyHash: []byte{2}}},
		{AddNode: &AddNode{UUID: "u3", TokenID: "j", TokenHash: []byte{1}, KeyHash: []byte{3}}},
		{SetMembership: &SetMembership{Nodes: []cluster.NodeID{2, 3}, To: cluster.Active}},
	} {
		if r := s.command(t, c); r.Refusal != nil {
			t.Fatal(r.Refusal)
		}
	}
	move := func(via string, from, to cluster.NodeID) Result {
		return s.command(t, Command{By: "root", Via: via, MoveCAKey: &MoveCAKey{From: from, To: to}})
	}
	if r := move(ViaAgent, 1, 2); r.Refusal == nil || r.Refusal.Code != CodeDenied {
		t.Errorf("asked for by a node: %v", r.Err())
	}
	if r := move(ViaAdmin, 2, 2); r.Refusal == nil {
		t.Error("to where it is: not refused")
	}
	if s.View().CAKeyMove != nil {
		t.Fatalf("refused, but recorded: %+v", s.View().CAKeyMove)
	}
	first := move(ViaAdmin, 1, 2)
	if err := first.Err(); err != nil {
		t.Fatal(err)
	}
	m := s.View().CAKeyMove
	if m == nil || m.By != "root" || m.Record != first.Index || !m.ExpiresAt.After(m.At) {
		t.Fatalf("recorded: %+v", m)
	}
	for _, c := range []struct {
		name     string
		record   uint64
		from, to cluster.NodeID
		now      time.Time
		ok       bool
	}{
		{"as asked for", first.Index, 1, 2, m.At, true},
		{"to another node", first.Index, 1, 3, m.At, false},
		{"from another node", first.Index, 3, 2, m.At, false},
		{"under another record", first.Index - 1, 1, 2, m.At, false},
		{"too late", first.Index, 1, 2, m.ExpiresAt, false},
	} {
		if err := s.View().CheckCAKeyMove(c.record, c.from, c.to, c.now); (err == nil) != c.ok {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
	if r := move(ViaAdmin, 1, 3); r.Refusal == nil || r.Refusal.Code != CodeConflict {
		t.Errorf("another move meanwhile: %v", r.Err())
	}
	again := move(ViaAdmin, 1, 2)
	end := func(record uint64) *Refusal {
		return s.command(t, Command{By: "n1", Via: ViaAgent, EndCAKeyMove: &EndCAKeyMove{Record: record}}).Refusal
	}
	if r := end(first.Index); r == nil {
		t.Error("the record that another took the place of was consumed")
	}
	if r := end(again.Index); r != nil || s.View().CAKeyMove != nil {
		t.Errorf("consumed: %v, %+v", r, s.View().CAKeyMove)
	}
	if err := s.View().CheckCAKeyMove(again.Index, 1, 2, m.At); err == nil {
		t.Error("a consumed record may be used again")
	}
	if r := move(ViaAdmin, 2, 1); r.Refusal != nil {
		t.Fatal(r.Err())
	}
	s.command(t, Command{By: "root", Via: ViaAdmin, RotateCA: &RotateCA{Step: StepStage, Next: "B"}})
	if s.View().CAKeyMove != nil {
		t.Error("a rotation leaves a move of the old key standing")
	}
}
