package replica

import (
	"bytes"
	"errors"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/codec"
	"github.com/nodedb/nodedb/agent/internal/raftlog"
)

func threeVoters() *cluster.RangeDescriptor {
	return &cluster.RangeDescriptor{ID: 2, Start: cluster.VShard(0).Key(), End: cluster.VShard(16).Key(), Generation: 7, NextReplica: 5, Replicas: []cluster.ReplicaDescriptor{
		{Node: 1, Replica: 1, Role: cluster.Voter}, {Node: 2, Replica: 2, Role: cluster.Voter},
		{Node: 3, Replica: 3, Role: cluster.Voter}, {Node: 4, Replica: 4, Role: cluster.Learner},
	}}
}

// voters is the change that promotes one node and demotes another; 0: none.
func voters(promote, demote cluster.NodeID) cluster.ReplicaChange {
	c := cluster.ReplicaChange{Kind: cluster.ChangeVoters}
	if promote != 0 {
		c.Promote = []cluster.NodeID{promote}
	}
	if demote != 0 {
		c.Demote = []cluster.NodeID{demote}
	}
	return c
}

func TestPlanChange(t *testing.T) {
	d := threeVoters()
	joint := d.Clone()
	joint.Replicas[2].Role, joint.Replicas[3].Role = cluster.VoterOutgoing, cluster.VoterIncoming
	two := d.Clone() // a range of one voter and three learners
	for i := range two.Replicas[1:] {
		two.Replicas[1+i].Role = cluster.Learner
	}
	alone := d.Clone()
	alone.Replicas = alone.Replicas[:1]
	tests := []struct {
		name   string
		d      *cluster.RangeDescriptor
		change cluster.ReplicaChange
		want   string // raft's view of the result; "" is a refusal
	}{
		{"add a learner", d, cluster.ReplicaChange{Kind: cluster.AddLearner, Add: 9}, "voters:1 voters:2 voters:3 learners:4 learners:5"},
		{"add one where one is", d, cluster.ReplicaChange{Kind: cluster.AddLearner, Add: 4}, ""},
		{"add one nowhere", d, cluster.ReplicaChange{Kind: cluster.AddLearner}, ""},
		{"promote", d, voters(4, 0), "voters:1 voters:2 voters:3 voters:4 voters_outgoing:1 voters_outgoing:2 voters_outgoing:3"},
		{"promote a voter", d, voters(3, 0), ""},
		{"promote one twice", two, cluster.ReplicaChange{Kind: cluster.ChangeVoters, Promote: []cluster.NodeID{4, 4}}, ""},
		{"promote two", two, cluster.ReplicaChange{Kind: cluster.ChangeVoters, Promote: []cluster.NodeID{3, 4}}, "voters:1 voters:3 voters:4 learners:2 voters_outgoing:1"},
		{"demote two", d, cluster.ReplicaChange{Kind: cluster.ChangeVoters, Demote: []cluster.NodeID{1, 3}}, "voters:2 learners:4 voters_outgoing:1 voters_outgoing:2 voters_outgoing:3 learners_next:1 learners_next:3"},
		{"demote all", d, cluster.ReplicaChange{Kind: cluster.ChangeVoters, Demote: []cluster.NodeID{1, 2, 3}}, ""},
		{"the voter of one goes over", two, voters(2, 1), "voters:2 learners:3 learners:4 voters_outgoing:1 learners_next:1"},
		{"neither", d, cluster.ReplicaChange{Kind: cluster.ChangeVoters}, ""},
		{"swap", d, voters(4, 3), "voters:1 voters:2 voters:4 voters_outgoing:1 voters_outgoing:2 voters_outgoing:3 learners_next:3"},
		{"swap with a stranger", d, voters(4, 9), ""},
		{"demote", d, voters(0, 3), "voters:1 voters:2 learners:4 voters_outgoing:1 voters_outgoing:2 voters_outgoing:3 learners_next:3"},
		{"demote the last voter", alone, voters(0, 1), ""},
		{"leave joint", joint, cluster.ReplicaChange{Kind: cluster.LeaveJoint}, "voters:1 voters:2 voters:4 learners:3"},
		{"leave joint when not in it", d, cluster.ReplicaChange{Kind: cluster.LeaveJoint}, ""},
		{"add while joint", joint, cluster.ReplicaChange{Kind: cluster.AddLearner, Add: 9}, ""},
		{"remove a learner", d, cluster.ReplicaChange{Kind: cluster.RemoveLearner, Remove: 4}, "voters:1 voters:2 voters:3"},
		{"remove a voter", d, cluster.ReplicaChange{Kind: cluster.RemoveLearner, Remove: 3}, ""},
		{"nothing known", d, cluster.ReplicaChange{Kind: "explode"}, ""},
	}
	for _, x := range tests {
		t.Run(x.name, func(t *testing.T) {
			x.change.Expect = 7
			before := x.d.Clone()
			next, _, err := planChange(x.d, x.change)
			if x.want == "" {
				if err == nil {
					t.Fatalf("allowed: %+v", next)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var want pb.ConfState
			if err := textUnmarshal(x.want, &want); err != nil {
				t.Fatal(err)
			}
			if !proto.Equal(confState(next), &want) {
				t.Errorf("got %v, want %v", confState(next), &want)
			}
			if next.Generation != 8 || next.Validate() != nil {
				t.Errorf("result %+v: %v", next, next.Validate())
			}
			if x.d.Generation != before.Generation || x.d.Replicas[0] != before.Replicas[0] {
				t.Error("the descriptor itself was changed")
			}
		})
	}
	var stale *StaleDescriptorError
	if _, _, err := planChange(d, cluster.ReplicaChange{Kind: cluster.AddLearner, Add: 9, Expect: 6}); !errors.As(err, &stale) {
		t.Errorf("another generation: %v, want a StaleDescriptorError", err)
	}
}

func TestMessagesSurviveTheWire(t *testing.T) {
	e := raftlog.NewEntry(pb.EntryNormal, 6, 12)
	e.Data = []byte("data")
	for _, m := range []*pb.Message{
		{Type: pb.MsgApp.Enum(), Term: new(uint64(7)), Index: new(uint64(11)), LogTerm: new(uint64(5)), Commit: new(uint64(10)), Entries: []*pb.Entry{e}},
		{Type: pb.MsgAppResp.Enum(), Term: new(uint64(7)), Index: new(uint64(11)), Reject: new(true), RejectHint: new(uint64(3)), LogTerm: new(uint64(2))},
		{Type: pb.MsgHeartbeat.Enum(), Term: new(uint64(7)), Commit: new(uint64(10)), Context: []byte("12345678")},
		{Type: pb.MsgVote.Enum(), Term: new(uint64(7)), Index: new(uint64(11)), LogTerm: new(uint64(5)), Context: []byte(campaignTransfer)},
		{Type: pb.MsgTimeoutNow.Enum(), Term: new(uint64(7))},
	} {
		m.From, m.To = new(uint64(1)), new(uint64(2))
		buf := EncodeMessage([]byte("prefix"), 9, m)
		id, got, rest, err := DecodeMessage(append(buf, "rest"...)[len("prefix"):])
		if err != nil || id != 9 || string(rest) != "rest" || !proto.Equal(got, m) {
			t.Errorf("sent %v, got %v for %s, rest %q, %v", m, got, id, rest, err)
		}
	}
}

func TestMessagesThatNobodySends(t *testing.T) {
	for name, m := range map[string]*pb.Message{
		"local type":          {Type: pb.MsgHup.Enum(), Term: new(uint64(1))},
		"forwarded proposal":  {Type: pb.MsgProp.Enum(), Term: new(uint64(1))},
		"snapshot":            {Type: pb.MsgSnap.Enum(), Term: new(uint64(1))},
		"no term":             {Type: pb.MsgHeartbeat.Enum()},
		"short context":       {Type: pb.MsgHeartbeatResp.Enum(), Term: new(uint64(1)), Context: []byte("1")},
		"context of an entry": {Type: pb.MsgApp.Enum(), Term: new(uint64(1)), Context: []byte("12345678")},
		"entry of the future": {Type: pb.MsgApp.Enum(), Term: new(uint64(1)), Entries: []*pb.Entry{raftlog.NewEntry(pb.EntryNormal, 2, 1)}},
		"thread as sender":    {Type: pb.MsgHeartbeat.Enum(), Term: new(uint64(1)), From: new(^uint64(0))},
	} {
		if m.From == nil {
			m.From = new(uint64(1))
		}
		m.To = new(uint64(2))
		if _, _, _, err := DecodeMessage(EncodeMessage(nil, 9, m)); !errors.Is(err, ErrMalformedMessage) {
			t.Errorf("%s: %v, want %v", name, err, ErrMalformedMessage)
		}
	}
}

func TestRecords(t *testing.T) {
	p := &Proposal{ID: idAt(77, 0), Retry: true, Payload: []byte("payload"), ts: 99}
	env, err := decodeEnvelope(encodeEnvelope(p))
	if err != nil || env.id != p.ID || env.ts != 99 || string(env.payload) != "payload" || env.id.Timestamp() != 77 || env.split {
		t.Errorf("envelope: %+v %v", env, err)
	}
	a := appliedState{1, 2, 3, 4, 5, 6, cluster.Counts{Rows: 7, Live: 8, Dead: -9}, true}
	if got, err := decodeApplied(a.encode()); err != nil || got != a {
		t.Errorf("applied state: %+v, %v", got, err)
	}
	ident := &Identity{ID: 3, Descriptor: *threeVoters()}
	b, err := encodeIdentity(ident)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := decodeIdentity(b); err != nil || got.ID != 3 || got.Descriptor.Generation != 7 {
		t.Errorf("identity: %+v, %v", got, err)
	}
}

func FuzzDecodeMessage(f *testing.F) {
	e := raftlog.NewEntry(pb.EntryNormal, 6, 12)
	e.Data = []byte("data")
	f.Add(EncodeMessage(nil, 2, &pb.Message{Type: pb.MsgApp.Enum(), From: new(uint64(1)), To: new(uint64(2)), Term: new(uint64(7)), Index: new(uint64(11)), LogTerm: new(uint64(5)), Entries: []*pb.Entry{e}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		id, m, _, err := DecodeMessage(data)
		if err != nil {
			return
		}
		id2, m2, rest, err := DecodeMessage(EncodeMessage(nil, id, m))
		if err != nil || id2 != id || len(rest) > 0 || m2.GetType() != m.GetType() || len(m2.Entries) != len(m.Entries) {
			t.Errorf("decoded %v, encoded and decoded again %v, %v", m, m2, err)
		}
	})
}

func FuzzDecodeRecords(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 0, 0, 0, '{', '}'})
	a := appliedState{}
	f.Add(a.encode())
	f.Fuzz(func(_ *testing.T, data []byte) {
		_, _ = decodeEnvelope(data)
		_, _ = decodeApplied(data)
		_, _ = decodeDescriptor(data)
		_, _ = decodeIdentity(data)
		_ = decodeIDs(data, func(AppliedID) {})
		_, _ = decodeTombstone(data)
		_, _ = decodeLostLog(data)
		_, _ = decodeChange(data)
	})
}

func FuzzSnapshotHeader(f *testing.F) {
	f.Add([]byte(`{"format":1,"range":2,"from":1,"to":2,"term":6,"index":11,"logTerm":6,"descriptor":{"id":2,"start":0,"end":16,"generation":1,"nextReplica":3,"replicas":[{"node":1,"replica":1,"role":"voter"},{"node":2,"replica":2,"role":"learner"}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := DecodeSnapshotHeader(data)
		if err == nil && (h.Range == 0 || h.Index == 0 || len(Spans(&h.Descriptor)) == 0) {
			t.Errorf("accepted %+v", h)
		}
	})
}

func FuzzChunk(f *testing.F) {
	f.Add(codec.AppendBytes(codec.AppendBytes([]byte{chunkFormat}, []byte("key")), []byte("value")))
	f.Fuzz(func(t *testing.T, data []byte) {
		again := []byte{chunkFormat}
		err := decodeChunk(data, func(k, v []byte) error {
			again = codec.AppendBytes(codec.AppendBytes(again, k), v)
			return nil
		})
		if err == nil && len(again) == len(data) && !bytes.Equal(again, data) {
			t.Errorf("decoded and encoded again: % x, was % x", again, data)
		}
	})
}

// textUnmarshal reads "field:value field:value".
func textUnmarshal(s string, m *pb.ConfState) error { return prototext.Unmarshal([]byte(s), m) }
