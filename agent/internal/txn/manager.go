package txn

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/budget"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// Isolation is what a transaction sees of others.
type Isolation int

// The levels, as PostgreSQL has them.
const (
	ReadCommitted Isolation = iota
	RepeatableRead
	Serializable
)

// String is the level as SQL has it.
func (i Isolation) String() string {
	return [...]string{"read committed", "repeatable read", "serializable"}[i]
}

// Info says whose a transaction is.
type Info struct {
	User, Application string
	PID               uint32
	Started           time.Time
	Group             *Group // the other transactions of its session; nil: it has none
}

// Config is what a Manager needs.
type Config struct {
	Self cluster.NodeID
	// Start names this start of the node: in another no transaction of it is open.
	Start uint32
	Clock *hlc.Clock
	// Fresh returns a time at or after all commits that were acknowledged before.
	Fresh func(ctx context.Context) (hlc.Timestamp, error)
	// Ask makes the call MethodAsk at another node; it is bounded in time.
	Ask func(ctx context.Context, to cluster.NodeID, payload []byte) ([]byte, error)

	// Now is a monotonic clock; Sleep waits, and returns an error if ctx ends first; Go
	// runs fn beside the caller. They are the node's, or the simulation's.
	Now   func() time.Duration
	Sleep func(ctx context.Context, d time.Duration) error
	Go    func(fn func())

	// Leftovers returns what transactions that began before a time have left in the ranges
	// that this node leads; nil: nobody tidies up here.
	Leftovers func(ctx context.Context, before hlc.Timestamp) ([]store.Leftover, error)
	// Gone says that a node never comes back; nil: none is known to.
	Gone func(cluster.NodeID) bool

	// Objects is the meta range. nil: no transaction changes objects.
	Objects Objects
	// Cleanup bounds what waits to be cleaned up. Beyond it a commit waits until that
	// is done. nil: no bound.
	Cleanup *budget.Budget
	// SpanRows is how many intents a transaction may leave, or a reader meet, that are
	// named to the range one by one. Where there are more it looks for them itself. 0: 64.
	SpanRows int
	// Planted holds faults that tests plant.
	Planted Planted
}

// setDefaults has time and goroutines be the process's own, and bounds as they are chosen.
func (c *Config) setDefaults() {
	if c.SpanRows == 0 {
		c.SpanRows = spanRows
	}
	if c.Now == nil {
		begun := time.Now()
		c.Now = func() time.Duration { return time.Since(begun) }
	}
	if c.Sleep == nil {
		c.Sleep = func(ctx context.Context, d time.Duration) error {
			timer := time.NewTimer(d)
			defer timer.Stop()
			select {
			case <-timer.C:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	}
}

// Manager coordinates the transactions of one node's sessions.
type Manager struct {
	cfg    Config
	ranges Ranges

	// ctx ends at Close.
	ctx   context.Context //nolint:containedctx // the life of what runs in the background, not of a request
	close context.CancelCauseFunc
	wg    sync.WaitGroup

	mu     sync.Mutex
	txns   map[cluster.TxnID]*Txn           // guarded by mu
	silent map[cluster.NodeID]time.Duration // since when a node has not answered; guarded by mu
	small  lane                             // of cleanups; guarded by mu
	large  lane                             // guarded by mu
	over   [][]byte                         // records that may be deleted; guarded by mu
	heat   heat                             // guarded by mu
	stats  Stats                            // guarded by mu
}

// Stats count since the start, but for the gauges.
type Stats struct {
	Open, Waiting, Cleanups int // now
	Begun, Committed        uint64
	OneRange                uint64            // of those committed: by one command
	Aborted                 map[string]uint64 // by reason
	LockWaits, Deadlocks    uint64
	Pushes, Pushed          uint64 // of others' transactions; those that it aborted
	Dropped                 uint64 // cleanups that were given up; others do them
	// Left are records of transactions that are over, as the last look found them, now.
	Left              int
	Tidied, Forgotten uint64 // rows that the janitor resolved; records that it deleted
}

// The reasons in Stats.Aborted.
const (
	abortConflict = "conflict"
	abortDeadlock = "deadlock"
	abortPushed   = "pushed" // another took this node for dead
	abortRollback = "rollback"
	abortError    = "error"
	abortUnknown  = "ambiguous" // nobody knows whether it committed
)

// AbortReasons are the keys of Stats.Aborted.
func AbortReasons() []string {
	return []string{abortConflict, abortDeadlock, abortPushed, abortRollback, abortError, abortUnknown}
}

// New returns a Manager. It is of use once Open has given it the ranges.
func New(cfg Config) *Manager {
	cfg.setDefaults()
	m := &Manager{cfg: cfg, txns: map[cluster.TxnID]*Txn{}, silent: map[cluster.NodeID]time.Duration{}}
	m.stats.Aborted = map[string]uint64{}
	m.small.most, m.large.most = cleaners, largeCleaners
	if m.cfg.Go == nil {
		m.cfg.Go = m.wg.Go
	}
	m.ctx, m.close = context.WithCancelCause(context.Background())
	return m
}

// Open gives the Manager the ranges, once, before anything else is asked of it.
func (m *Manager) Open(r Ranges) {
	m.ranges = r
	if m.cfg.Leftovers != nil {
		m.cfg.Go(m.janitor)
	}
}

// Close ends what runs in the background. What is not cleaned up others clean up.
func (m *Manager) Close() {
	m.close(ErrClosed)
	m.wg.Wait()
}

// Begin begins a transaction. Commit or Rollback ends it.
func (m *Manager) Begin(iso Isolation, info Info) *Txn {
	t := &Txn{m: m, iso: iso, info: info, begun: m.cfg.Now(), deadlockAfter: deadlockTimeout}
	t.id = cluster.NewTxnID(uint64(m.cfg.Clock.Now()), m.cfg.Self, m.cfg.Start)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.txns[t.id] = t
	m.stats.Begun++
	return t
}

func (m *Manager) find(id cluster.TxnID) *Txn {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.txns[id]
}

// forget has a transaction that has ended be unknown: nothing is left of it.
func (m *Manager) forget(id cluster.TxnID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.txns, id)
}

// contended notes that transactions wait for each other at a row.
func (m *Manager) contended(row []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.heat.add(row, m.cfg.Now())
}

// hottest is the position of the row that transactions wait for most; -1: for none.
func (m *Manager) hottest(rows [][]byte) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.heat.hottest(rows, m.cfg.Now())
}

// count changes the figures.
func (m *Manager) count(fn func(*Stats)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	fn(&m.stats)
}

// Stats returns the figures.
func (m *Manager) Stats() Stats {
	all := m.all()
	m.mu.Lock()
	s := m.stats
	s.Aborted = map[string]uint64{}
	for why, n := range m.stats.Aborted {
		s.Aborted[why] = n
	}
	s.Cleanups = len(m.small.queue) + m.small.workers + len(m.large.queue) + m.large.workers
	m.mu.Unlock()
	for _, t := range all {
		t.mu.Lock()
		if t.state <= Committing {
			s.Open++
		}
		if len(t.waits) > 0 {
			s.Waiting++
		}
		t.mu.Unlock()
	}
	return s
}

func (m *Manager) all() []*Txn {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]*Txn, 0, len(m.txns))
	for _, t := range m.txns {
		out = append(out, t)
	}
	return out
}

// Status is a transaction as it is shown.
type Status struct {
	ID         cluster.TxnID
	Info       Info
	Isolation  Isolation
	State      State
	WaitsFor   []cluster.TxnID
	Waits      time.Duration     // since when; 0: it does not wait
	LockedRows int               // locked, or written by a commit under way
	Ranges     int               // that it has touched
	RangeIDs   []cluster.RangeID // the first of them, ascending
	Age        time.Duration
}

// List returns the transactions that are open, or not cleaned up yet, the oldest first.
func (m *Manager) List() []Status {
	now := m.cfg.Now()
	var out []Status
	for _, t := range m.all() {
		out = append(out, t.status(now))
	}
	slices.SortFunc(out, func(a, b Status) int { return slices.Compare(a.ID[:], b.ID[:]) })
	return out
}

// ends counts why a transaction ended without a commit.
func (m *Manager) ends(err error) {
	var deadlock *DeadlockError
	var conflict *ConflictError
	why := abortError
	switch {
	case err == nil:
		why = abortRollback
	case errors.As(err, &deadlock):
		why = abortDeadlock
	case errors.As(err, &conflict) && conflict.Reason == reasonPushed:
		why = abortPushed
	case errors.As(err, &conflict):
		why = abortConflict
	}
	m.count(func(s *Stats) { s.Aborted[why]++ })
}
