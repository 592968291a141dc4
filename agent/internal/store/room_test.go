package store

import (
	"errors"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/lease"
	"github.com/nodedb/nodedb/agent/internal/replica"
)

// TestRoomOfAQuorum asks a leader for room, its peers having said what they have.
func TestRoomOfAQuorum(t *testing.T) {
	f := newCoreFixture(t)
	f.run()
	for range roomTicks {
		f.c.ticks++
	}
	of := func(roles ...cluster.ReplicaRole) *cluster.RangeDescriptor {
		d := &cluster.RangeDescriptor{}
		for i, role := range roles {
			d.Replicas = append(d.Replicas, cluster.ReplicaDescriptor{Node: cluster.NodeID(i + 1), Replica: cluster.ReplicaID(i + 1), Role: role})
		}
		return d
	}
	const (
		voter = cluster.Voter
		in    = cluster.VoterIncoming
		out   = cluster.VoterOutgoing
		none  = byte('-') // silent
	)
	for _, tt := range []struct {
		d             *cluster.RangeDescriptor
		rooms         string // by node: e(nough), r(eserve), n(one), - silent
		rows, deletes bool   // go
		what          string
	}{
		{of(voter), "e", true, true, "one with room"},
		{of(voter), "r", false, true, "one with its reserve"},
		{of(voter), "n", false, false, "one without"},
		{of(voter, voter, voter), "ren", false, true, "one of three has room for rows"},
		{of(voter, voter, voter), "rre", false, true, "two of three on their reserve"},
		{of(voter, voter, voter), "nee", true, true, "the leader has none, the others have"},
		{of(voter, voter, voter), "enn", false, false, "two of three have none"},
		{of(voter, voter, voter), "er-", false, true, "who is silent has no room beside one that is full"},
		{of(voter, voter, voter, cluster.Learner), "eenn", true, true, "a learner does not count"},
		{of(voter, voter, out, in), "eenr", true, true, "two of three in both halves"},
		{of(voter, out, out, in, in), "eeenn", false, false, "one half has none"},
	} {
		f.c.rooms.others = map[cluster.NodeID]told{}
		for i := range tt.rooms {
			room := map[byte]Room{'e': RoomEnough, 'r': RoomReserve, 'n': RoomNone}[tt.rooms[i]]
			switch n := cluster.NodeID(i + 1); { //nolint:gosec // it is small
			case n == f.c.cfg.Node:
				f.c.rooms.own = room
			case tt.rooms[i] != none:
				f.c.rooms.others[n] = told{room, f.c.ticks}
			}
		}
		for grows, want := range map[bool]bool{true: tt.rows, false: tt.deletes} {
			if got := quorumHas(tt.d, func(n cluster.NodeID) bool { return f.c.roomOn(n, grows) }); got != want {
				t.Errorf("%s (%s): grows %t: %t, want %t", tt.what, tt.rooms, grows, got, want)
			}
		}
	}
}

// TestAFullDiskIsTold has a node tell its room, refuse rows and take deletes of a range
// that is its own, take entries until its peers must have heard, and none after that.
func TestAFullDiskIsTold(t *testing.T) {
	f := newCoreFixture(t)
	f.run()
	grow := func(n uint64) error {
		var err error
		f.c.Propose(2, &replica.Proposal{ID: f.id(n), Grows: true, Payload: datastate.EncodeBatch(&datastate.Batch{Ops: []datastate.Op{putOp("a", "1")}}), Done: func(o replica.Outcome) { err = o.Err }})
		f.run()
		return err
	}
	f.must(grow(1))
	f.c.DiskRoom(RoomReserve)
	if err := grow(2); !errors.Is(err, ErrDiskFull) {
		t.Errorf("rows on the reserve: %v, want ErrDiskFull", err)
	}
	gone := putOp("a", "")
	gone.Kind, gone.Value = datastate.Delete, nil
	f.must(f.propose(f.id(3), gone).Err)
	f.c.DiskRoom(RoomNone)
	if o := f.propose(f.id(4), gone); !errors.Is(o.Err, ErrDiskFull) {
		t.Errorf("a delete without a reserve: %v, want ErrDiskFull", o.Err)
	}
	app := &pb.Message{Type: pb.MsgApp.Enum(), Entries: []*pb.Entry{{}, {Data: []byte{1}}}}
	for i := range NoticeTicks {
		if f.c.deaf(2, app) {
			t.Fatalf("entries are not taken %d ticks after the disk was full", i)
		}
		f.now = f.now.Add(100 * time.Millisecond)
		f.c.Tick()
	}
	if !f.c.deaf(2, app) || f.c.deaf(cluster.MetaRangeID, app) {
		t.Error("entries of rows are taken, or those of the meta range are not")
	}
	if f.c.deaf(2, &pb.Message{Type: pb.MsgApp.Enum(), Entries: []*pb.Entry{{}, {Type: pb.EntryConfChangeV2.Enum(), Data: []byte{1}}}}) {
		t.Error("the entry of a new leader, or a change of replicas, is not taken")
	}
	f.c.DiskRoom(RoomEnough)
	f.must(grow(5))
	word := appendAsk(nil, &lease.Ask{Boot: 1, Ceiling: hlc.New(f.now)}, RoomReserve)
	if _, err := f.c.handleSupport(2, word); err != nil || f.c.rooms.others[2].room != RoomReserve {
		t.Errorf("after a word of n2's reserve: %+v, %v", f.c.rooms.others, err)
	}
	word[askLen-1] = byte(RoomNone) + 1
	if _, err := f.c.handleSupport(2, word); !errors.Is(err, replica.ErrMalformedMessage) {
		t.Errorf("a word of a room that there is not: %v", err)
	}
}

// TestDeletionsAreFlushed has garbage go where nothing else is written: some time later
// the engine is to write its memory to tables, once.
func TestDeletionsAreFlushed(t *testing.T) {
	f := newCoreFixture(t)
	f.run()
	pass := func(ticks int) (flushes int) {
		for range ticks {
			f.now = f.now.Add(100 * time.Millisecond)
			f.c.Tick()
			f.run()
			if f.c.TakeFlush() {
				flushes++
				f.c.Flushed(f.e.Flush())
			}
		}
		return flushes
	}
	f.c.Freed(shrinkBytes / 2)
	if n := pass(ShrinkTicks + 1); n != 0 {
		t.Errorf("%d flushes for half of what is worth one", n)
	}
	f.c.Freed(shrinkBytes / 2)
	if n := pass(ShrinkTicks + 1); n != 1 {
		t.Errorf("%d flushes, want 1", n)
	}
	if n := pass(2 * ShrinkTicks); n != 0 {
		t.Errorf("%d flushes more, and nothing was deleted", n)
	}
}
