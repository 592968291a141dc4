package store

import (
	"bytes"
	"errors"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/replica"
)

// hangFixture is a core whose range has a second voter, which answers whatever the
// test says, and whose disk can hang.
type hangFixture struct {
	*coreFixture
	told []pb.MessageType // what the other node was sent
	out  *LogBatch
}

// step works as run does while the disk hangs: the batch that is out stays there.
func (f *hangFixture) step() {
	f.c.Process()
	f.c.Flush(func(to cluster.NodeID, b []byte) bool {
		for rest := b[batchHeader:]; Speaks(b) && len(rest) > 0; {
			switch rest[0] {
			case prepareType, goneType:
				return true
			case askSupportType:
				rest = rest[askLen:]
				continue
			}
			_, m, tail, err := replica.DecodeMessage(rest)
			f.must(err)
			f.told, rest = append(f.told, m.GetType()), tail
		}
		return true
	})
	if b := f.c.TakeBatch(); b != nil {
		f.out = b
	}
}

func (f *hangFixture) pass(ticks int) {
	for range ticks {
		f.now = f.now.Add(100 * time.Millisecond)
		f.c.Tick()
		f.step()
	}
}

func (f *hangFixture) sent(t pb.MessageType) (n int) {
	for _, x := range f.told {
		if x == t {
			n++
		}
	}
	return n
}

// TestAClockRunsDryWhileTheDiskHangs has the loop go round all the same: the node is
// silent, refuses what would need a timestamp, and goes on when the disk does.
func TestAClockRunsDryWhileTheDiskHangs(t *testing.T) {
	f := &hangFixture{coreFixture: newCoreFixture(t)}
	f.pass(30)
	if !f.c.HandsOver() || !f.c.clock.dry() {
		t.Fatalf("3 s into a hang: hands over %t, dry %t", f.c.HandsOver(), f.c.clock.dry())
	}
	if f.out == nil || f.c.TakeBatch() != nil {
		t.Fatal("there is one batch out, and another is handed out")
	}
	if st, _ := f.c.RangeStatus(2); !st.IsLeader() {
		t.Error("nobody else could lead, and this node gave the range up")
	}
	var notLeader *NotLeaderError
	if o := f.propose(f.id(1), putOp("a", "1")); !errors.As(o.Err, &notLeader) {
		t.Errorf("a command: %v, want a NotLeaderError", o.Err)
	}
	if err := f.c.HandleRaft(2, batchOf(hlc.New(f.now), heartbeat(9))); !errors.Is(err, ErrOverloaded) {
		t.Errorf("a message: %v, want it dropped", err)
	}
	f.must(f.out.Write(f.e))
	f.c.BatchDone(f.out)
	f.run()
	f.pass(1)
	f.run()
	if f.c.HandsOver() || f.c.clock.dry() {
		t.Errorf("after the hang: hands over %t, dry %t", f.c.HandsOver(), f.c.clock.dry())
	}
	f.must(f.propose(f.id(2), putOp("a", "1")).Err)
}

// TestAHangEndsAnElection has the disk hang between the question of a node whether it
// would be elected and the answers.
func TestAHangEndsAnElection(t *testing.T) {
	for _, hangs := range []bool{false, true} {
		x := newTrio(t)
		x.close(0)
		var asker *trioNode
		asked := 0
		var answers [][]byte
		x.carry = func(from, to *trioNode, b []byte) bool {
			if AsksForVotes(b) {
				asker = from
				asked++
			}
			if asker == nil || to != asker {
				return true
			}
			answers = append(answers, bytes.Clone(b))
			return false
		}
		for i := 0; i < 100 && asker == nil; i++ {
			x.step()
		}
		if asker == nil || len(answers) == 0 {
			t.Fatalf("nobody asks whether it would be elected: %d answers", len(answers))
		}
		asker.c.DiskHangs(hangs)
		asker.c.Tick()
		asked, x.carry = 0, func(_, _ *trioNode, b []byte) bool {
			if AsksForVotes(b) {
				asked++
			}
			return true
		}
		for _, b := range answers {
			x.must(asker.c.HandleRaft(5-asker.id, b))
		}
		x.deliver()
		if (asked > 0) == hangs {
			t.Errorf("the disk hangs %t: votes were asked for %d times", hangs, asked)
		}
	}
}

// TestAPauseIsNoHang stops the process for a while: its ticks are few then.
func TestAPauseIsNoHang(t *testing.T) {
	f := &hangFixture{coreFixture: newCoreFixture(t)}
	f.c.clock.asked = 0
	f.step()
	f.now = f.now.Add(time.Minute)
	for range maxTicks {
		f.c.Tick()
	}
	if f.c.HandsOver() {
		t.Error("the disk is blamed for a pause of the process")
	}
}

// TestANodeWhoseDiskHangsTakesNoLeadership sends it what makes a follower campaign.
func TestANodeWhoseDiskHangsTakesNoLeadership(t *testing.T) {
	f := &hangFixture{coreFixture: newCoreFixture(t)}
	f.c.ChangeReplicas(2, cluster.ReplicaChange{Kind: cluster.AddLearner, Add: 2, Expect: 1}, func(o replica.Outcome) { f.must(o.Err) })
	f.run()
	f.c.DiskHangs(true)
	f.c.Tick()
	if !f.c.HandsOver() {
		t.Fatal("the shell says that the disk hangs, and the core does not hear it")
	}
	f.told = nil
	f.must(f.c.HandleRaft(2, batchOf(hlc.New(f.now), replica.EncodeMessage(nil, 2, &pb.Message{
		Type: pb.MsgTimeoutNow.Enum(), From: new(uint64(2)), To: new(uint64(1)), Term: new(uint64(6)),
	}))))
	f.step()
	if n := f.sent(pb.MsgVote) + f.sent(pb.MsgPreVote); n > 0 {
		t.Errorf("%d requests for votes of a node whose disk hangs", n)
	}
	f.c.DiskHangs(false)
	f.c.Tick()
	if f.c.HandsOver() {
		t.Error("the disk is well again, and the core hands over")
	}
}
