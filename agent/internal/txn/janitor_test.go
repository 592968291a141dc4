package txn

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// hooked has all calls from here on be asked about first, and after; nil: none.
func (m *model) hooked(fn func(c *kv.Call, after bool) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hook = fn
}

// counts are how many locks, records and entries there are.
func (m *model) counts() (locks, records, entries int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.locks), len(m.records), m.entries
}

// lead has each range be led by a node, in turn, or by nobody who tidies up.
func (m *model) lead(nodes ...cluster.NodeID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.bounds {
		m.leads[cluster.RangeID(i+2)] = nodes[i%len(nodes)]
	}
}

// tidied is when all has been tidied up, however the looks of the nodes fall.
const tidied = leftAge + 3*sweepEvery + lateAge

// TestJanitor: whatever a gateway that died has left goes, of whatever kind.
func TestJanitor(t *testing.T) {
	dies := errors.New("the gateway dies")
	commit := func(m *model, is []int) {
		_, _ = m.managers[1].Begin(ReadCommitted, Info{}).Commit(m.managers[1].ctx, []kv.Mutation{put(is[0], "1"), put(is[1], "1"), put(is[2], "1")}, 0)
	}
	for name, tt := range map[string]struct {
		dies string // before this request, and all that follow
		run  func(m *model, is []int)
		want string
	}{
		"intents":        {"Commit", commit, ""},
		"a commit":       {"Resolve", commit, "1"},
		"a record":       {"Forget", commit, "1"},
		"durable locks":  {"Resolve", func(m *model, is []int) { lockDurably(m, is) }, ""},
		"an open record": {"Resolve", func(m *model, is []int) { pushOpen(m, lockDurably(m, is)) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newModel(t, 3, 4)
				is := m.apart(t, 3)
				m.lead(2, 3)
				dead := false
				m.hooked(func(c *kv.Call, after bool) error {
					m.mu.Lock()
					defer m.mu.Unlock()
					if dead = dead || !after && at(c) == tt.dies; dead {
						return dies
					}
					return nil
				})
				tt.run(m, is)
				synctest.Wait()
				if m.left() == "" {
					t.Fatal("nothing is left to tidy up")
				}
				m.managers[1].Close()
				m.hooked(nil)
				m.start(1, 2, Planted{})
				pass(tidied)
				if left := m.left(); left != "" {
					t.Errorf("left: %s", left)
				}
				m.want(t, m.managers[2], m.clock.Now(), is, tt.want, tt.want, tt.want)
				pass(2 * sweepEvery)
				_, _, entries := m.counts()
				pass(10 * sweepEvery)
				_, _, now := m.counts()
				if a, b := m.managers[2].Stats(), m.managers[3].Stats(); now != entries || a.Left+b.Left != 0 || a.Forgotten+b.Forgotten == 0 {
					t.Errorf("%d entries of an idle cluster; %+v, %+v", now-entries, a, b)
				}
			})
		})
	}
}

// lockDurably begins a transaction that locks rows for good.
func lockDurably(m *model, is []int) *Txn {
	t := m.managers[1].Begin(ReadCommitted, Info{})
	r := lockRequest(is...)
	r.Durable = true
	if _, _, err := t.Lock(m.managers[1].ctx, r); err != nil {
		panic(err)
	}
	return t
}

// pushOpen is a reader's push of a transaction.
func pushOpen(m *model, t *Txn) {
	if _, err := m.managers[2].push(m.managers[2].ctx, t.id, t.record, false, m.clock.Now()); err != nil {
		panic(err)
	}
}

// TestJanitorLeavesTheOpen: a session that is idle for hours keeps what it has locked, and
// commits.
func TestJanitorLeavesTheOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel(t, 3, 4)
		is := m.apart(t, 3)
		m.lead(2, 3)
		x := lockDurably(m, is)
		pushOpen(m, x)
		m.silence(1, true)
		pass(sweepEvery + 10*time.Second) // a pause that nobody waits for
		m.silence(1, false)
		pass(5 * time.Hour)
		if _, err := x.Commit(t.Context(), []kv.Mutation{put(is[0], "1"), put(is[1], "1")}, 0); err != nil {
			t.Fatal(err)
		}
		pass(tidied)
		m.want(t, m.managers[2], m.clock.Now(), is, "1", "1", "")
		if left := m.left(); left != "" {
			t.Errorf("left: %s", left)
		}
	})
}

// comesBack has a gateway be cut off between its prewrites and its commit for hours, be
// taken for dead, and come back with the commit. It returns what is wrong.
func comesBack(t *testing.T, p Planted) string {
	m := newModel(t, 3, 4)
	for _, node := range []cluster.NodeID{2, 3} {
		m.managers[node].Close()
		m.start(node, 2, p)
	}
	is := m.apart(t, 2)
	m.lead(2, 3)
	m.hooked(func(c *kv.Call, after bool) error {
		if at(c) == "Commit" && !after {
			m.silence(1, true)
			pass(5 * time.Hour)
			m.silence(1, false)
		}
		return nil
	})
	_, err := m.managers[1].Begin(ReadCommitted, Info{}).Commit(t.Context(), []kv.Mutation{put(is[0], "1"), put(is[1], "1")}, 0)
	m.hooked(nil)
	pass(tidied)
	values, e := m.read(t.Context(), m.managers[2], m.clock.Now(), row(is[0]), row(is[1]))
	var conflict *ConflictError
	switch {
	case e != nil:
		return e.Error()
	case !errors.As(err, &conflict):
		return "what was aborted has committed"
	case values[0] != nil || values[1] != nil:
		return "what was aborted is there"
	case m.left() != "":
		return "left: " + m.left()
	}
	return ""
}

// TestGatewayComesBack: the record that says that a transaction is aborted stays for as
// long as its gateway may be there.
func TestGatewayComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if found := comesBack(t, Planted{}); found != "" {
			t.Error(found)
		}
	})
}

// elsewhere has a gateway die after its commit, with intents in ranges whose janitor does
// not look. It returns what is wrong.
func elsewhere(t *testing.T, p Planted) string {
	m := newModel(t, 3, 8)
	m.managers[2].Close()
	m.start(2, 2, p)
	is := m.apart(t, 6)
	var muts []kv.Mutation
	for _, i := range is {
		muts = append(muts, put(i, "1"))
	}
	m.hooked(func(c *kv.Call, _ bool) error {
		if at(c) == "Resolve" {
			return &kv.UnavailableError{Cause: errors.New("nobody")}
		}
		return nil
	})
	m.commitOK(t, m.managers[1], muts...)
	m.managers[1].Close()
	m.hooked(nil)
	m.start(1, 2, Planted{})
	m.mu.Lock()
	for key := range m.records {
		m.leads[m.owner([]byte(key))] = 2
	}
	// Ranges are split later: what was one span lies in several.
	for _, r := range m.records {
		r.Ranges = []datastate.TxnSpan{{From: r.Ranges[0].From, To: r.Ranges[0].To}, {From: cluster.VShard(0).Key(), To: "\xff"}}
	}
	m.mu.Unlock()
	pass(tidied)
	if m.left() != "" && p == (Planted{}) {
		return "left: " + m.left()
	}
	for _, i := range is {
		if v, err := m.read(t.Context(), m.managers[3], m.clock.Now(), row(i)); err != nil || string(v[0]) != "1" {
			return "what was committed is not there"
		}
	}
	return ""
}

// TestJanitorLooksElsewhere: a record goes after all that rests on it.
func TestJanitorLooksElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		if found := elsewhere(t, Planted{}); found != "" {
			t.Error(found)
		}
	})
}

// TestJanitorWaits: the record of a transaction that is over stays for as long as a range
// would take its commit.
func TestJanitorWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newModel(t, 3, 4)
		is := m.apart(t, 2)
		m.lead(2, 3)
		m.hooked(func(c *kv.Call, after bool) error {
			if at(c) == "Resolve" && !after {
				return errors.New("the gateway dies")
			}
			return nil
		})
		lockDurably(m, is)
		pass(10 * time.Hour)
		m.hooked(nil)
		m.managers[1].Close()
		m.start(1, 2, Planted{})
		died := time.Now()
		for locks, _, _ := m.counts(); locks > 0; locks, _, _ = m.counts() {
			pass(time.Second)
		}
		if _, records, _ := m.counts(); records == 0 {
			t.Fatal("no record says that it is aborted")
		}
		for _, records, _ := m.counts(); records > 0; _, records, _ = m.counts() {
			pass(time.Second)
		}
		if took := time.Since(died); took < store.IDAge {
			t.Errorf("the record went %s after the gateway", took)
		}
	})
}
