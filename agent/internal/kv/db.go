package kv

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/budget"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/garbage"
	"github.com/nodedb/nodedb/agent/internal/gate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/routing"
	"github.com/nodedb/nodedb/agent/internal/store"
)

// Store is the part of *store.Store that kv uses.
type Store interface {
	Propose(ctx context.Context, id cluster.RangeID, cmd store.Command) ([]byte, hlc.Timestamp, error)
	Begin(id cluster.RangeID, cmd store.Command, within time.Duration, done func([]byte, hlc.Timestamp, error)) (cancel func())
	Read(ctx context.Context, id cluster.RangeID, ts hlc.Timestamp, rows store.Scope) (*store.ReadHandle, error)
	ReadRows(ctx context.Context, id cluster.RangeID, ts hlc.Timestamp, rows [][]byte, fn store.RowReader) error
	RangeStatus(id cluster.RangeID) (cluster.RangeStatus, bool)

	// Of the past, by the replicas here.
	Local(id cluster.RangeID) store.LocalReplica
	LocalRanges() []cluster.RangeID
	CloseSoon(id cluster.RangeID, age time.Duration)
	ReadPast(id cluster.RangeID, ts hlc.Timestamp, newest bool, fn store.RowReader) error
	PastView(id cluster.RangeID, ts hlc.Timestamp, newest bool) (*store.ReadHandle, error)
}

// Caller reaches other nodes; *transport.Transport is one.
type Caller interface {
	Call(ctx context.Context, to cluster.NodeID, method string, payload []byte) ([]byte, error)
	Scan(ctx context.Context, to cluster.NodeID, request []byte, fn func([]byte) error) error
}

// Config is what a DB needs.
type Config struct {
	Self   cluster.NodeID
	Store  Store
	Caller Caller
	Clock  *hlc.Clock
	Table  *routing.Table
	// Peers returns the nodes, other than this one, that may lead a range; nil: none.
	Peers func() []cluster.NodeID
	// Suspect reports whether gossip does not believe that a node is alive; such
	// nodes are tried last. nil: none is.
	Suspect func(cluster.NodeID) bool

	// Awake is closed when this node may use its clock; nil: it may. Until then
	// requests wait, as long as their patience lasts.
	Awake <-chan struct{}

	// Active is the cluster's version: it decides the format of writes. nil: the first.
	Active func() gate.Version

	// ClosedLag is how old the time may become that followers can serve, while they
	// are read: leaders are asked to close it several times as often. nil: 3 s. Less:
	// more questions between nodes. More: reads of bounded staleness find older rows.
	ClosedLag func() time.Duration
	// Kept is how long old versions are kept: nobody reads further back than half of it
	// for being bounded by more. nil: 1 h.
	Kept func() time.Duration

	// Resolver gets requests on that meet what transactions have left; nil: they fail.
	Resolver Resolver

	// Snapshots is told which times are being read; nil: nobody is.
	Snapshots *garbage.Snapshots

	// Meter, if set, counts what is read.
	Meter *Meter

	// Policy is the patience of requests that come without their own.
	Policy Policy
	// AttemptTimeout ends one attempt at one node that neither answers nor fails;
	// default 1 s, a tenth of it at a node that is in doubt. Too short: slow disks
	// cause needless retries. Too long: a stopped process holds its clients.
	AttemptTimeout time.Duration
	// FreshTimeout bounds the wait for another node's clock; default 250 ms.
	FreshTimeout time.Duration
	// ScanParallel is how many ranges an unordered scan reads at once; default 8.
	ScanParallel int
	// ChunkRows and ChunkBytes bound one message of a scan; defaults 2048, 1 MiB.
	ChunkRows  int
	ChunkBytes int

	// Programs begins what the gateway of a scan has sent to be computed of its rows; nil:
	// there are none.
	Programs func(program []byte) (Program, error)

	// Requests is what requests of other gateways may hold here while they wait, and
	// Reads what is read for any gateway and not sent yet. Beyond it they are
	// refused with store.ErrOverloaded; nil: there is no bound.
	Requests, Reads *budget.Budget
	// ViewAge is how long a scan may keep its view of a range; then it goes on from
	// a new one. Default 30 s. Too long: readers that do not read keep what was
	// overwritten or deleted meanwhile on disk. Too short: large scans begin anew.
	ViewAge time.Duration
}

// Policy is the patience of a request: Attempts that follow each other within
// Quick, while leadership moves, then one each 150 ms until Budget ends. An
// election after a crash takes 1 to 3 seconds, which the default outlasts, so
// that clients see a delay and no error.
type Policy struct {
	Attempts int           // default 5
	Quick    time.Duration // default 750 ms
	Budget   time.Duration // over all; default 10 s; negative: only the quick attempts
}

// DefaultPolicy is 5 attempts over 750 ms and 10 s in all.
func DefaultPolicy() Policy {
	return Policy{Attempts: 5, Quick: 750 * time.Millisecond, Budget: 10 * time.Second}
}

// longestBudget leaves the last attempt of a command its time, and clocks their
// offset, before ranges forget the command's id: a retry later than that could only
// be told that nobody knows.
const longestBudget = store.IDAge - 5*time.Second

func (p Policy) orDefault(d Policy) Policy {
	if p.Attempts == 0 {
		p.Attempts = d.Attempts
	}
	if p.Quick == 0 {
		p.Quick = d.Quick
	}
	if p.Budget == 0 {
		p.Budget = d.Budget
	}
	p.Budget = min(p.Budget, longestBudget)
	return p
}

// pause returns how long to wait after the n-th round (from 0) over all
// candidates; !ok: the budget is spent. The quick pauses grow linearly and sum
// to Quick.
func (p Policy) pause(n int, spent time.Duration) (d time.Duration, ok bool) {
	const steady = 150 * time.Millisecond
	if n < p.Attempts {
		return p.Quick * time.Duration(2*n+1) / time.Duration(p.Attempts*p.Attempts), true
	}
	return min(steady, p.Budget-spent), p.Budget > spent
}

// setDefaults fills what is not set.
func (c *Config) setDefaults() {
	if c.Active == nil {
		c.Active = func() gate.Version { return gate.First }
	}
	if c.ClosedLag == nil {
		c.ClosedLag = func() time.Duration { return defaultClosedLag }
	}
	if c.Kept == nil {
		c.Kept = func() time.Duration { return time.Hour }
	}
	c.Policy = c.Policy.orDefault(DefaultPolicy())
	if c.AttemptTimeout == 0 {
		c.AttemptTimeout = time.Second
	}
	if c.FreshTimeout == 0 {
		c.FreshTimeout = 250 * time.Millisecond
	}
	if c.ScanParallel == 0 {
		c.ScanParallel = 8
	}
	if c.ChunkRows == 0 {
		c.ChunkRows = 2048
	}
	if c.ChunkBytes == 0 {
		c.ChunkBytes = 1 << 20
	}
	if c.ViewAge == 0 {
		c.ViewAge = 30 * time.Second
	}
	if c.Peers == nil {
		c.Peers = func() []cluster.NodeID { return nil }
	}
	if c.Suspect == nil {
		c.Suspect = func(cluster.NodeID) bool { return false }
	}
}

// Validate reports everything that is missing or wrong.
func (c *Config) Validate() error {
	var errs []error
	need := func(ok bool, what string) {
		if !ok {
			errs = append(errs, errors.New("kv: "+what))
		}
	}
	need(c.Self != 0, "node id is not set")
	need(c.Store != nil && c.Caller != nil && c.Clock != nil && c.Table != nil, "store, caller, clock and table must be set")
	need(c.AttemptTimeout >= 0 && c.FreshTimeout >= 0 && c.ViewAge >= 0, "timeouts must not be negative")
	need(c.Policy.Budget <= longestBudget, fmt.Sprintf("a budget of %s is longer than ranges remember commands: at most %s", c.Policy.Budget, longestBudget))
	need(c.ScanParallel >= 0 && c.ChunkRows >= 0 && c.ChunkBytes >= 0, "scan limits must not be negative")
	return errors.Join(errs...)
}

// DB is the gateway to all ranges.
type DB struct {
	cfg    Config
	server *Server
	fresh  freshness

	middles middles

	reasons reasonCounts

	// ctx ends at Close.
	ctx   context.Context //nolint:containedctx // the life of the DB's own goroutines, not of a request
	close context.CancelFunc
	wg    sync.WaitGroup

	mu struct {
		sync.Mutex
		peers map[cluster.NodeID]*peer
	}
}

// peer is what the DB knows of another node, or of this one, as a leader.
type peer struct {
	// attempts wait for the node: they end when gossip suspects it.
	attempts map[*attempt]struct{}
	// silent is when an attempt last ended without an answer; zero: it answered since.
	silent time.Time
}

// Row is one row of a collection.
type Row struct {
	Key     []byte // encoded primary key
	Value   []byte // nil: there is no such row
	Version hlc.Timestamp
}

// Size is about how much memory the row takes.
func (r *Row) Size() int64 { return int64(len(r.Key) + len(r.Value) + 64) }

// New returns a DB. The caller closes it.
func New(cfg Config) (*DB, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.setDefaults()
	d := &DB{cfg: cfg, server: &Server{cfg: cfg}}
	d.ctx, d.close = context.WithCancel(context.Background())
	d.mu.peers = map[cluster.NodeID]*peer{}
	return d, nil
}

// Close ends what the DB runs by itself. Requests under way end with their own
// contexts.
func (d *DB) Close() error {
	d.close()
	var ends []func()
	d.mu.Lock()
	for _, p := range d.mu.peers {
		ends = append(ends, p.end())
	}
	d.mu.Unlock()
	for _, end := range ends {
		end()
	}
	d.wg.Wait()
	return nil
}

// Server returns the leader's side, to be registered with the transport.
func (d *DB) Server() *Server { return d.server }

// Now returns the local clock's time; see the package's Timestamps.
func (d *DB) Now() hlc.Timestamp { return d.cfg.Clock.Now() }

// Table returns the routing table that the DB uses.
func (d *DB) Table() *routing.Table { return d.cfg.Table }

// Suspected drops the hints that name node and cancels what waits for it, so
// that it is retried elsewhere at once. Gossip's subscriber calls it when a
// node becomes suspect, dead or left. It does not block.
func (d *DB) Suspected(node cluster.NodeID) {
	d.cfg.Table.Forget(node)
	d.mu.Lock()
	end := d.peer(node).end()
	d.mu.Unlock()
	end()
}

// end takes away the attempts that wait for the node. What it returns ends them,
// without the DB's lock.
func (p *peer) end() func() {
	all := p.attempts
	p.attempts = nil
	return func() {
		for a := range all {
			a.end(errSuspected)
		}
	}
}

// peer returns what is known of node. d.mu is held.
func (d *DB) peer(node cluster.NodeID) *peer {
	p, ok := d.mu.peers[node]
	if !ok {
		p = &peer{}
		d.mu.peers[node] = p
	}
	return p
}

// doubtAge is how long a node that did not answer is in doubt, unless it answers.
const doubtAge = 3 * time.Second

// doubtful reports whether node is to be tried last, and not for long: gossip
// suspects it, or it lately did not answer somebody's request.
func (d *DB) doubtful(node cluster.NodeID) bool {
	if node != d.cfg.Self && d.cfg.Suspect(node) {
		return true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	silent := d.peer(node).silent
	return !silent.IsZero() && time.Since(silent) < doubtAge
}

// answered notes whether an attempt at node got an answer.
func (d *DB) answered(node cluster.NodeID, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.peer(node)
	if !ok {
		p.silent = time.Now()
	} else if !p.silent.IsZero() {
		p.silent = time.Time{}
	}
}

// patience is how long an attempt at node may take.
func (d *DB) patience(node cluster.NodeID) time.Duration {
	if d.doubtful(node) {
		return d.cfg.AttemptTimeout / 10
	}
	return d.cfg.AttemptTimeout
}

// newCommandID names a command: the gateway's time, then random bytes.
func (d *DB) newCommandID() (id [16]byte) {
	binary.BigEndian.PutUint64(id[:8], uint64(d.cfg.Clock.Now()))
	_, _ = rand.Read(id[8:]) // never fails
	return id
}

// awake waits until this node may use its clock.
func (d *DB) awake(ctx context.Context, patience time.Duration) error {
	if d.cfg.Awake == nil {
		return nil
	}
	select {
	case <-d.cfg.Awake:
		return nil
	default:
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-d.cfg.Awake:
		return nil
	case <-timer.C:
		return &UnavailableError{Cause: errWaking}
	case <-d.ctx.Done():
		return fmt.Errorf("%w: %w", store.ErrStopped, errWaking)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// heard takes the clock of a node that answered. A clock that is too far off is
// not taken: that node's own checks make it refuse to serve.
func (d *DB) heard(clock hlc.Timestamp) { _ = d.cfg.Clock.Update(clock) }
