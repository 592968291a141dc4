package store

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/nodedb/nodedb/agent/internal/budget"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// Sender carries what the store says to other nodes; transport satisfies it.
type Sender interface {
	// SendRaft queues one batch and does not block; false means that it was dropped.
	SendRaft(to cluster.NodeID, batch []byte) bool
	// SendSnapshot streams a snapshot and returns the receiver's reply. next
	// returns io.EOF after the last chunk.
	SendSnapshot(ctx context.Context, to cluster.NodeID, header []byte, next func() ([]byte, error)) (reply []byte, err error)
}

// Config says how a store runs.
type Config struct {
	// Node is this node.
	Node cluster.NodeID
	// Engine holds everything; the store does not close it.
	Engine *storage.Engine
	// Clock is the node's hybrid logical clock.
	Clock *hlc.Clock
	// Machine makes the state machine of a range.
	Machine func(cluster.RangeDescriptor) replica.StateMachine
	// Check refuses a command that this binary could not apply, before it is proposed
	// here; nil: none is. It is called by whoever proposes, not in the core.
	Check func(id cluster.RangeID, payload []byte) error
	// Grows reports whether a command makes its range larger, for when a disk is short of
	// room; nil: none does. It is called as Check is.
	Grows func(payload []byte) bool
	// Boottime reads the machine's boot-time clock: one that never steps, and goes on
	// while the machine sleeps and the process is stopped. Leases rest on it.
	Boottime func() time.Duration
	// Jitter draws a duration below a limit.
	Jitter func(limit time.Duration) time.Duration
	// Marks is what the store remembers of marks; nil: it is opened with the store.
	Marks *Marks
	// BootNonce is a random number of this start.
	BootNonce uint32
	// Sender reaches the other nodes. Only the shell uses it.
	Sender Sender
	// Logger gets what an operator wants to know; nil discards it.
	Logger *slog.Logger
	// OnFatal is called once when the store can do nothing more: the process must stop.
	// The error is a *LostError if the store is older than what it told.
	OnFatal func(error)
	// OnBehind is told, once for each start of it, of a peer whose store lost what
	// it had told. It must not block; may be nil.
	OnBehind func(Behind)
	// OnHeard is told once when whoever is there has had the time to object to this
	// store. It must not block; may be nil.
	OnHeard func()
	// OnWaiting is told when what replicas here wait for has changed, nobody last.
	// It must not block; may be nil.
	OnWaiting func(peers []cluster.NodeID, ranges int)

	// Tick is the length of a raft tick; default 100 ms.
	Tick time.Duration
	// ElectionTicks is the shortest election timeout in ticks; it is drawn from
	// [ElectionTicks, 2*ElectionTicks). Default 10. Too short: needless elections.
	ElectionTicks int
	// HeartbeatTicks is the ticks between heartbeats; default 1.
	HeartbeatTicks int
	// StallTicks is the age of a write, in ticks, past which the disk counts as hung
	// and leaderships are handed away; default 10. Too short: a disk that is only busy
	// costs leaderships. Too long: ranges led here wait for so long.
	StallTicks int
	// SnapshotRate limits snapshot bytes per second sent by this node; default 32 MiB.
	SnapshotRate int64
	// CountRate limits bytes per second that are read to count ranges; default 64 MiB:
	// a small part of what a disk reads and a core unpacks.
	CountRate int64
	// ChecksumRate limits bytes per second that are read to compare replicas; default
	// 16 MiB: 100 GiB in two hours, beside which nobody notices it.
	ChecksumRate int64
	// Garbage says which old versions are garbage; nil: none. It is called in the core
	// loop, once a second, and must not block.
	Garbage func() replica.GarbagePolicy
	// GarbageRate limits bytes per second that are read to find them; default 16 MiB, as
	// ChecksumRate.
	GarbageRate int64
	// SnapshotSends is how many snapshots are sent at once; default 2.
	SnapshotSends int
	// SnapshotReceives is how many snapshots are received at once; default 2.
	SnapshotReceives int
	// Snapshots is the memory for those, Messages that for batches of peers that wait
	// for the core; nil: there is no bound, but for QueueBytes.
	Snapshots, Messages *budget.Budget
	// DiskFree is how many bytes the disk has left; nil: enough.
	DiskFree func() uint64
	// LogBytes and LogEntries are how much applied log a leader keeps while a follower
	// is away; defaults 8 MiB and 4096. Too little: those that come back need snapshots.
	// While all are there a sixteenth and a quarter are kept: log that lives longer than
	// a memtable is written to tables, and compacted, to be thrown away.
	LogBytes   int64
	LogEntries uint64
	// KnownRows is how many rows the leader of a range remembers, that were written or
	// locked last; default 256. 0: none, and everything is evaluated beside the core.
	KnownRows int
	// MaxCommandBytes is the largest command; default 4 MiB.
	MaxCommandBytes int
	// QueueRequests is how many requests wait for the core at most; default 16384.
	QueueRequests int
	// QueueBytes is how many bytes of messages from peers wait at most; default 64 MiB.
	QueueBytes int

	// Planted holds faults that tests plant; it is empty but with the tag "planted".
	Planted replica.Planted
}

// DefaultConfig returns a Config with every default set.
func DefaultConfig() Config {
	return Config{
		Logger:           slog.New(slog.DiscardHandler),
		Tick:             100 * time.Millisecond,
		ElectionTicks:    10,
		HeartbeatTicks:   1,
		StallTicks:       10,
		SnapshotRate:     32 << 20,
		SnapshotSends:    2,
		SnapshotReceives: 2,
		CountRate:        64 << 20,
		ChecksumRate:     16 << 20,
		GarbageRate:      16 << 20,
		LogBytes:         8 << 20,
		LogEntries:       4096,
		KnownRows:        256,
		MaxCommandBytes:  4 << 20,
		QueueRequests:    16384,
		QueueBytes:       64 << 20,
	}
}

func (c *Config) lanes() LaneLimits {
	return LaneLimits{Requests: c.QueueRequests, Bytes: c.QueueBytes, ShareRequests: shareRequests, ShareBytes: shareBytes}
}

// Validate reports everything that is wrong with c.
func (c *Config) Validate() error {
	var errs []error
	need := func(ok bool, what string) {
		if !ok {
			errs = append(errs, errors.New(what))
		}
	}
	need(c.Node != 0, "node id is not set")
	need(c.Engine != nil && c.Clock != nil && c.Machine != nil, "engine, clock and machine must be set")
	need(c.Boottime != nil && c.Jitter != nil, "boot-time clock and jitter must be set")
	need(c.Tick > 0, "tick must be positive")
	need(c.HeartbeatTicks > 0, "heartbeat ticks must be positive")
	need(c.ElectionTicks > c.HeartbeatTicks, "election ticks must exceed heartbeat ticks")
	need(c.StallTicks > maxTicks, "stall ticks must exceed the ticks that are made up for")
	need(c.SnapshotRate > 0 && c.SnapshotSends > 0 && c.SnapshotReceives > 0, "snapshot rate, sends and receives must be positive")
	need(c.CountRate > 0 && c.ChecksumRate > 0 && c.GarbageRate > 0, "count, checksum and garbage rates must be positive")
	need(c.LogBytes > 0 && c.LogEntries > 0, "log limits must be positive")
	need(c.KnownRows >= 0 && c.MaxCommandBytes > 0 && c.QueueRequests > 0 && c.QueueBytes > 0, "queue limits must be positive")
	return errors.Join(errs...)
}
