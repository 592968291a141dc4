package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/replica"
)

func TestOneNode(t *testing.T) {
	c := newCluster(t, 1, nil)
	c.bootstrap(1)
	c.write(2, "a", "1")
	c.write(2, "a", "2")
	if got := c.read(2, "a"); got != "2" {
		t.Errorf("read %q, want 2", got)
	}
	c.nodes[1].crash()
	c.nodes[1].open()
	if got := c.read(2, "a"); got != "2" {
		t.Errorf("read %q after a crash, want 2", got)
	}
}

func TestThreeNodes(t *testing.T) {
	c := newCluster(t, 3, nil)
	c.bootstrap(2)
	c.write(2, "a", "1")
	c.grow(2, 2, 3)
	c.grow(3, 2, 3)
	c.write(2, "a", "2")
	old := c.leader(2)
	old.crash()
	c.write(2, "a", "3")
	if got := c.read(2, "a"); got != "3" {
		t.Errorf("read %q, want 3", got)
	}
	old.open()
	for i := range 100 {
		c.write(2, fmt.Sprint("k", i), fmt.Sprint(i))
	}
	c.sameState(2)
}

// sameState waits until all replicas of a range hold the same bytes.
func (c *testCluster) sameState(id cluster.RangeID) {
	c.t.Helper()
	eventually(c.t, "equal replicas", func() error {
		var want map[string]string
		var applied uint64
		for _, n := range c.nodes {
			st, ok := n.get().RangeStatus(id)
			if !ok {
				continue
			}
			h, err := n.get().ReadLocal(c.t.Context(), id)
			if err != nil {
				return err
			}
			got, err := dump(h)
			h.Close()
			if err != nil {
				return err
			}
			if want == nil {
				want, applied = got, st.Applied
				continue
			}
			if len(got) != len(want) || applied != st.Applied {
				return fmt.Errorf("%s has %d keys at %d, another %d at %d", n.id, len(got), st.Applied, len(want), applied)
			}
			for k, v := range want {
				if got[k] != v {
					return fmt.Errorf("%s differs at % x: % x, another % x", n.id, k, got[k], v)
				}
			}
		}
		return nil
	})
}

func dump(h *ReadHandle) (map[string]string, error) {
	out := map[string]string{}
	ids, err := replica.AppliedIDs(h.Reader, h.Descriptor.ID)
	if err != nil {
		return nil, err
	}
	for _, x := range ids {
		out[string(x.ID[:])] = fmt.Sprint(x.TS, x.Result)
	}
	for _, s := range replica.Spans(&h.Descriptor) {
		it, err := h.Reader.NewIter(s.Start, s.End)
		if err != nil {
			return nil, err
		}
		for ok := it.First(); ok; ok = it.Next() {
			if keys.AppliedIDsSpan(h.Descriptor.ID).Contains(it.Key()) {
				continue // packed as each replica's rounds were
			}
			out[string(it.Key())] = string(it.Value())
		}
		if err := it.Close(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func TestMoveOfALeader(t *testing.T) {
	c := newCluster(t, 4, nil)
	c.bootstrap(1)
	c.grow(2, 2, 3)
	for i := range 20 {
		c.write(2, fmt.Sprint("k", i), fmt.Sprint(i))
	}
	from := c.leader(2).id
	c.change(2, cluster.AddLearner, 4, 0)
	c.change(2, cluster.ChangeVoters, 4, from)
	s := c.nodes[from].get()
	st, _ := s.RangeStatus(2)
	_, err := s.ChangeReplicas(t.Context(), 2, cluster.ReplicaChange{Kind: cluster.LeaveJoint, Expect: st.Descriptor.Generation})
	if !errors.Is(err, ErrLeaderLeaves) {
		t.Errorf("leaving the joint state under an outgoing leader: %v, want %v", err, ErrLeaderLeaves)
	}
	if err := s.Transfer(t.Context(), 2, 4); err != nil {
		t.Fatalf("transfer: %v", err)
	}
	c.change(2, cluster.LeaveJoint, 0, 0)
	c.change(2, cluster.RemoveLearner, 0, from)
	c.write(2, "after", "x")
	eventually(t, "destruction of the old replica", func() error {
		if _, ok := c.nodes[from].get().RangeStatus(2); ok {
			return errors.New("still there")
		}
		return nil
	})
	if err := c.nodes[from].get().PrepareReplica(t.Context(), descriptor(2, 32, 48), 1); err == nil {
		t.Error("a replica id was used again")
	}
	c.sameState(2)
	if got := c.read(2, "k7"); got != "7" {
		t.Errorf("read %q, want 7", got)
	}
}

func TestLargeSnapshot(t *testing.T) {
	c := newCluster(t, 2, nil)
	c.bootstrap(1)
	big := string(make([]byte, 64<<10))
	for i := range 40 {
		c.write(2, fmt.Sprint("k", i), fmt.Sprint(i)+big)
	}
	c.grow(2, 2)
	c.sameState(2)
	c.nodes[2].crash()
	c.nodes[2].open()
	c.write(2, "after", "x")
	c.sameState(2)
}

// TestSnapshotSaysHowFarItIs: the leader tells how many bytes of a snapshot that
// is on its way have gone out.
func TestSnapshotSaysHowFarItIs(t *testing.T) {
	c := newCluster(t, 2, nil)
	c.bootstrap(1)
	big := string(make([]byte, 64<<10))
	for i := range 40 {
		c.write(2, fmt.Sprint("k", i), fmt.Sprint(i)+big)
	}
	leader := c.leader(2).get()
	eventually(t, "the leader knows what was committed a moment ago", func() error {
		if st, _ := leader.RangeStatus(2); st.Settled != st.Commit || st.Settled == 0 {
			return fmt.Errorf("settled %d, committed %d", st.Settled, st.Commit)
		}
		return nil
	})
	leader.SetSnapshotRate(64 << 10)
	c.change(2, cluster.AddLearner, 2, 0)
	sent := func() (uint64, uint64) {
		st, _ := leader.RangeStatus(2)
		if len(st.Progress) != 1 {
			return 0, st.Bytes
		}
		return st.Progress[0].Sent, st.Bytes
	}
	eventually(t, "a part is sent", func() error {
		if n, of := sent(); n == 0 || n >= of {
			return fmt.Errorf("%d of %d bytes", n, of)
		}
		return nil
	})
	leader.SetSnapshotRate(1 << 40)
	c.nodes[2].get().SetSnapshotRate(1 << 40)
	c.change(2, cluster.ChangeVoters, 2, 0)
	eventually(t, "nothing is being sent", func() error {
		if n, _ := sent(); n != 0 {
			return fmt.Errorf("%d bytes of a snapshot that has arrived", n)
		}
		return nil
	})
}

func TestLaggingFollowerGetsASnapshot(t *testing.T) {
	c := newCluster(t, 3, func(cfg *Config) { cfg.LogEntries = 16; cfg.LogBytes = 4 << 10 })
	c.bootstrap(1)
	c.grow(2, 2, 3)
	follower := cluster.NodeID(2)
	if c.leader(2).id == follower {
		follower = 3
	}
	c.nodes[follower].close()
	for i := range 300 {
		c.write(2, fmt.Sprint("k", i), string(make([]byte, 512)))
	}
	c.nodes[follower].open()
	c.write(2, "after", "x")
	c.sameState(2)
}

// TestBegin: nobody waits for a command that is begun; it says once what became of it.
func TestBegin(t *testing.T) {
	c := newCluster(t, 1, nil)
	c.bootstrap(1)
	n := c.leader(2)
	type outcome struct {
		ts  hlc.Timestamp
		err error
	}
	fates := make(chan outcome, 4)
	begin := func(id cluster.RangeID) (cancel func()) {
		return n.get().Begin(id, Command{ID: newID(n.clock), Payload: put(c.row(2, "k"), "v")}, time.Minute, func(_ []byte, ts hlc.Timestamp, err error) { fates <- outcome{ts, err} })
	}
	begin(2)
	if o := <-fates; o.err != nil || o.ts == 0 {
		t.Errorf("a command: %+v", o)
	}
	begin(99)
	var missing *RangeNotFoundError
	if o := <-fates; !errors.As(o.err, &missing) {
		t.Errorf("a range that is not here: %+v", o)
	}
	// It is taken back, or too late for that: one answer either way.
	begin(2)()
	if o := <-fates; o.err != nil && !errors.Is(o.err, ErrProposalLost) {
		t.Errorf("cancelled: %+v", o)
	}
	s := n.get()
	n.close()
	s.Begin(2, Command{ID: newID(n.clock)}, 0, func(_ []byte, _ hlc.Timestamp, err error) { fates <- outcome{0, err} })
	if o := <-fates; !errors.Is(o.err, ErrStopped) {
		t.Errorf("of a store that has stopped: %+v", o)
	}
	if len(fates) > 0 {
		t.Errorf("answered twice: %+v", <-fates)
	}
}

func TestRequestsOfStoppedStore(t *testing.T) {
	c := newCluster(t, 1, nil)
	c.bootstrap(1)
	s := c.nodes[1].get()
	c.nodes[1].close()
	if _, _, err := s.Propose(t.Context(), 2, Command{}); !errors.Is(err, ErrStopped) {
		t.Errorf("propose: %v, want %v", err, ErrStopped)
	}
	if _, err := s.Read(t.Context(), 2, 1, Scope{}); !errors.Is(err, ErrStopped) {
		t.Errorf("read: %v, want %v", err, ErrStopped)
	}
	if got := s.Status(); got != nil {
		t.Errorf("status %v, want none", got)
	}
}

func TestAStrayJointConfigurationIsLeft(t *testing.T) {
	c := newCluster(t, 4, nil)
	c.bootstrap(1)
	c.grow(2, 2, 3)
	c.change(2, cluster.AddLearner, 4, 0)
	from := c.leader(2).id
	c.change(2, cluster.ChangeVoters, 4, from)
	eventually(t, "leaving the joint configuration", func() error {
		st, ok := c.leader(2).get().RangeStatus(2)
		if !ok || st.Descriptor.Joint() {
			return fmt.Errorf("descriptor %+v", st.Descriptor)
		}
		return nil
	})
	if got := c.leader(2).id; got == from {
		t.Errorf("%s still leads after it was demoted", got)
	}
}

func TestBrokenSnapshotStreamChangesNothing(t *testing.T) {
	c := newCluster(t, 2, nil)
	c.bootstrap(1)
	d := descriptor(2, 32, 48)
	d.NextReplica = 3
	d.Replicas = append(d.Replicas, cluster.ReplicaDescriptor{Node: 2, Replica: 2, Role: cluster.Learner})
	target := c.nodes[2].get()
	if err := target.PrepareReplica(t.Context(), d, 2); err != nil {
		t.Fatal(err)
	}
	header := []byte(`{"format":1,"range":2,"from":1,"to":2,"term":6,"index":20,"logTerm":6,"descriptor":{"id":2,"start":"0020","end":"0030","generation":2,"nextReplica":3,"replicas":[{"node":1,"replica":1,"role":"voter"},{"node":2,"replica":2,"role":"learner"}]}}`)
	for name, chunk := range map[string][]byte{
		"garbage":          []byte("garbage"),
		"foreign key":      append([]byte{1, 2}, 0x04, 0x00, 1, 'v'),
		"nothing":          nil,
		"cut off":          {1, 200},
		"a key of no kind": {1, 1, 'x', 1, 'v'},
	} {
		given := chunk == nil
		_, err := target.HandleSnapshot(t.Context(), 1, header, func() ([]byte, error) {
			if given {
				return nil, errors.New("stream broke")
			}
			given = true
			return chunk, nil
		})
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := target.HandleSnapshot(t.Context(), 3, header, func() ([]byte, error) { return nil, io.EOF }); err == nil {
		t.Error("a snapshot from a node that holds no replica was accepted")
	}
	st, ok := target.RangeStatus(2)
	if !ok || st.Applied != 0 || st.Failed != "" {
		t.Errorf("status %+v, %v", st, ok)
	}
}

func TestSnapshotRateCanChangeWhileOneIsSent(t *testing.T) {
	r := newRateLimit(1)
	done := make(chan error, 1)
	go func() { done <- r.wait(t.Context(), 1<<20) }()
	r.set(1 << 40)
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("a higher rate is not noticed")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.set(1)
	if err := r.wait(ctx, 1<<20); err == nil {
		t.Error("a cancelled wait returned as if tokens had come")
	}
}
