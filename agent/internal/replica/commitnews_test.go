package replica

import (
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"
)

// TestCommitsWait: what says nothing but a commit index waits for a message that says
// it anyway, unless the entry is one that followers act upon.
func TestCommitsWait(t *testing.T) {
	const follower = 2
	type sent struct {
		kind    pb.MessageType
		commit  uint64
		entries int
		held    bool // it is
		waiting bool // something is, after it
	}
	app, beat := pb.MsgApp, pb.MsgHeartbeat
	for name, x := range map[string]struct {
		urgent uint64
		sent   []sent
	}{
		"an append says it":                  {sent: []sent{{app, 5, 0, true, true}, {app, 5, 1, false, false}}},
		"an append of before does not":       {sent: []sent{{app, 5, 0, true, true}, {app, 4, 1, false, true}}},
		"a heartbeat says it":                {sent: []sent{{app, 5, 0, true, true}, {beat, 6, 0, false, false}}},
		"one to a follower behind does not":  {sent: []sent{{app, 5, 0, true, true}, {beat, 3, 0, false, true}}},
		"the newest counts":                  {sent: []sent{{app, 5, 0, true, true}, {app, 6, 0, true, true}, {app, 5, 1, false, true}, {app, 6, 1, false, false}}},
		"what matters is told at once":       {urgent: 5, sent: []sent{{app, 4, 0, true, true}, {app, 5, 0, false, false}, {app, 6, 0, true, true}}},
		"or with what is told anyway":        {urgent: 5, sent: []sent{{app, 5, 1, false, false}, {app, 6, 0, true, true}}},
		"what is to be committed may matter": {urgent: 9, sent: []sent{{app, 4, 0, true, true}, {app, 4, 2, false, false}, {app, 9, 0, false, false}}},
		"a probe is no news":                 {sent: []sent{{beat, 5, 0, false, false}, {app, 5, 0, false, false}, {app, 6, 0, true, true}}},
		"answers never wait":                 {sent: []sent{{pb.MsgAppResp, 0, 0, false, false}, {pb.MsgVoteResp, 0, 0, false, false}}},
	} {
		t.Run(name, func(t *testing.T) {
			var c commitNews
			c.alert(x.urgent)
			for i, s := range x.sent {
				m := &pb.Message{Type: s.kind.Enum(), To: new(uint64(follower)), Commit: new(s.commit), Entries: make([]*pb.Entry, s.entries)}
				if got := c.hold(m); got != s.held {
					t.Fatalf("message %d is held: %t, want %t", i, got, s.held)
				}
				if got := c.waiting(); got != s.waiting {
					t.Fatalf("after message %d something waits: %t, want %t", i, got, s.waiting)
				}
			}
		})
	}
}
