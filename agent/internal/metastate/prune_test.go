package metastate

import (
	"fmt"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
)

// TestPrune: what ended long ago goes, what has not stays, and a node that was
// decommissioned never comes back.
func TestPrune(t *testing.T) {
	m := newTester()
	do := func(cmd Command) Result {
		t.Helper()
		r := m.command(t, cmd)
		if r.Refusal != nil {
			t.Fatalf("%+v: %s", cmd, r.Refusal.Message)
		}
		return r
	}
	hash := []byte{1}
	do(initCommand())
	in := func(d time.Duration) time.Time { return m.clock.Add(d) }
	do(Command{CreateToken: &CreateToken{ID: "for-ever", Owner: "root", Role: "viewer", Hash: hash}})
	do(Command{CreateToken: &CreateToken{ID: "short", Owner: "root", Role: "viewer", Hash: hash, ExpiresAt: in(time.Hour)}})
	do(Command{CreateToken: &CreateToken{ID: "long", Owner: "root", Role: "viewer", Hash: hash, ExpiresAt: in(keepEnded)}})
	do(Command{CreateToken: &CreateToken{ID: "revoked", Owner: "root", Role: "viewer", Hash: hash}})
	do(Command{RevokeToken: &RevokeToken{ID: "revoked"}})
	for _, id := range []string{"used", "expires", "open"} {
		ttl := time.Hour
		if id != "expires" {
			ttl = 3 * keepEnded
		}
		do(Command{CreateJoinToken: &CreateJoinToken{ID: id, Hash: hash, Uses: 1, ExpiresAt: in(ttl)}})
	}
	join := Command{AddNode: &AddNode{UUID: "u2", Version: "v1", Addresses: cluster.Addresses{SQL: "a:1"}, Locality: "zone=a", TokenID: "used", TokenHash: hash, KeyHash: []byte{2}}}
	node := do(join).Node
	do(Command{IssueCertificate: &IssueCertificate{Serial: "aa", User: "ann", KeyHash: hash, ExpiresAt: in(time.Hour), AdminRole: "viewer"}})
	do(Command{IssueCertificate: &IssueCertificate{Serial: "bb", User: "ann", KeyHash: hash, ExpiresAt: in(2 * keepEnded)}})
	for _, serial := range []string{"aa", "bb", "offline"} {
		do(Command{RevokeCertificate: &RevokeCertificate{Serial: serial}})
	}
	do(Command{AnchorLog: &AnchorLog{Node: node, Chains: []LogChain{{Class: "logins", First: 1, Last: 1, Hash: "h"}}}})
	do(Command{SetMembership: &SetMembership{Nodes: []cluster.NodeID{node}, To: cluster.Decommissioned, Reason: "old"}})

	if m.clock = m.clock.Add(keepEnded - time.Minute); m.View().Prunable(m.clock) {
		t.Error("it is to be kept for a while yet")
	}
	if r := do(Command{Prune: &Prune{}}); !r.Existed {
		t.Error("something was taken away")
	}
	m.clock = m.clock.Add(2 * time.Hour)
	if !m.View().Prunable(m.clock) {
		t.Error("nothing is to be taken away")
	}
	do(Command{Prune: &Prune{}})
	v := m.View()
	for what, have := range map[string]int{"tokens": len(v.Tokens), "join tokens": len(v.JoinTokens), "certificates": len(v.Certificates)} {
		if want := map[string]int{"tokens": 3, "join tokens": 1, "certificates": 2}[what]; have != want {
			t.Errorf("%d %s, want %d", have, what, want)
		}
	}
	if v.Tokens["for-ever"] == nil || v.Tokens["long"] == nil || v.JoinTokens["open"] == nil || !v.Revoked("bb") || !v.Revoked("offline") {
		t.Errorf("what is needed was taken away: %v, %v, %v", v.Tokens, v.JoinTokens, v.Certificates)
	}
	n := v.Nodes[node]
	if n == nil || n.Addresses != (cluster.Addresses{}) || n.Locality != "" || n.Tombstone == nil || n.Tombstone.Reason != "old" || v.LogHeads[node] != nil {
		t.Errorf("of the node is left %+v", n)
	}
	if v.Prunable(m.clock) {
		t.Error("it is pruned, and something is left to do")
	}

	join.AddNode.TokenID, join.AddNode.KeyHash = "open", []byte{3}
	if r := m.command(t, join); r.Refusal == nil || r.Refusal.Code != CodeTombstoned {
		t.Errorf("a node that was decommissioned joins again: %+v", r)
	}
	again := Command{UpdateNode: &UpdateNode{Node: node, UUID: "u2", Version: "v1"}}
	if r := m.command(t, again); r.Refusal == nil || r.Refusal.Code != CodeTombstoned {
		t.Errorf("a node that was decommissioned starts again: %+v", r)
	}
	join.AddNode.UUID = "u3"
	if got := do(join).Node; got == node {
		t.Errorf("the number %s was given again", got)
	}
}

// TestPruneIsBounded: however many end in a month, the newest thousand are kept.
func TestPruneIsBounded(t *testing.T) {
	v, now := emptyView(), time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for i := range maxEndedKept + 5 {
		id := fmt.Sprintf("t%04d", i)
		v.Tokens[id] = &Token{ID: id, RevokedAt: now.Add(-time.Duration(i) * time.Second)}
	}
	p := v.pruning(now)
	if len(p.tokens) != 5 || p.tokens[0] != "t1000" || p.tokens[4] != "t1004" {
		t.Errorf("pruned: %v", p.tokens)
	}
	if r := checkRoom(maxTokens+7, 7, "token"); r == nil || r.Code != CodeLimit {
		t.Errorf("one more token: %+v", r)
	}
	if r := checkRoom(maxTokens+7, 8, "token"); r != nil {
		t.Errorf("a token in the place of one that has ended: %+v", r)
	}
}
