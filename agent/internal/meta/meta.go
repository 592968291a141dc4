package meta

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/gate"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/metastate"
)

// Proposer applies a command of a range exactly once; *kv.DB is one.
type Proposer interface {
	Propose(ctx context.Context, id cluster.RangeID, payload []byte, p kv.Policy) ([]byte, hlc.Timestamp, error)
}

// Store is the part of *store.Store that meta uses.
type Store interface {
	RangeStatus(id cluster.RangeID) (cluster.RangeStatus, bool)
	Status() []*cluster.RangeStatus
}

// Versions is the part of *gate.Keeper that meta uses.
type Versions interface {
	Support() gate.Support
	Active() gate.Version
}

// Config is what a Meta needs.
type Config struct {
	Self    cluster.NodeID
	Machine *metastate.Machine
	DB      Proposer
	Store   Store
	Logger  *slog.Logger // nil discards
	// Versions says what may be proposed: what this binary knows, and what the
	// cluster's version allows. Nil: what the binary knows.
	Versions Versions

	// Policy is the patience of proposals; zero fields take kv's default.
	Policy kv.Policy
	// ApplyTimeout is how long a proposer waits for its own node to apply what the
	// meta range has accepted; default 5 s. Past it the result is returned all the
	// same: a node that is being removed never applies it.
	ApplyTimeout time.Duration
	// Coalesce is how long the publisher collects before it proposes; default 20 ms.
	Coalesce time.Duration
	// Audit is how often the publisher compares the ranges that this node leads
	// with the meta range's copies; default 10 s.
	Audit time.Duration
}

// Meta is a node's way to the meta range.
type Meta struct {
	cfg     Config
	publish publisher

	mu struct {
		sync.Mutex
		// changed is closed, and replaced, when the view changes.
		changed chan struct{}
	}
	unsubscribe func()
}

// New returns a Meta. The caller closes it.
func New(cfg Config) (*Meta, error) {
	if cfg.Self == 0 || cfg.Machine == nil || cfg.DB == nil || cfg.Store == nil {
		return nil, errors.New("meta: node id, machine, db and store must be set")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&cfg.ApplyTimeout, 5 * time.Second}, {&cfg.Coalesce, 20 * time.Millisecond}, {&cfg.Audit, 10 * time.Second}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	m := &Meta{cfg: cfg}
	m.mu.changed = make(chan struct{})
	m.publish.init()
	m.unsubscribe = cfg.Machine.Subscribe(func(*metastate.View) { m.viewChanged() })
	return m, nil
}

// Close stops listening to the machine. Whoever waits goes on until its context ends.
func (m *Meta) Close() error {
	m.unsubscribe()
	return nil
}

func (m *Meta) viewChanged() {
	m.mu.Lock()
	defer m.mu.Unlock()
	close(m.mu.changed)
	m.mu.changed = make(chan struct{})
}

func (m *Meta) changed() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.changed
}

// View returns what this node has applied.
func (m *Meta) View() *metastate.View { return m.cfg.Machine.View() }

// Subscribe calls fn with each new view, on the goroutine that applies the meta
// range: fn must not block, and must not call Subscribe or cancel.
func (m *Meta) Subscribe(fn func(*metastate.View)) (cancel func()) {
	return m.cfg.Machine.Subscribe(fn)
}

// Watch returns a channel that holds a signal whenever the view has changed
// since the last receive, until ctx ends.
func (m *Meta) Watch(ctx context.Context) <-chan struct{} { return m.cfg.Machine.Watch(ctx) }

// Wait returns when this node has applied the command at index.
func (m *Meta) Wait(ctx context.Context, index uint64) error {
	for {
		changed := m.changed()
		at := m.View().Index
		if at >= index {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for meta index %d at %d: %w", index, at, context.Cause(ctx))
		}
	}
}

// Propose applies a command, and returns when this node has applied it too. A
// refusal is in the result, not in the error: see Result.Err. An error is one of
// package kv's: *kv.UnavailableError says that nothing was done,
// *store.AmbiguousError that nobody knows.
func (m *Meta) Propose(ctx context.Context, cmd metastate.Command) (metastate.Result, error) {
	cmd.Stamp(ctx)
	payload, err := m.encode(cmd)
	if err != nil {
		return metastate.Result{}, err
	}
	raw, _, err := m.cfg.DB.Propose(ctx, cluster.MetaRangeID, payload, m.cfg.Policy)
	if err != nil {
		return metastate.Result{}, err
	}
	res, err := metastate.DecodeResult(raw)
	if err != nil {
		return metastate.Result{}, err
	}
	wait, cancel := context.WithTimeout(ctx, m.cfg.ApplyTimeout)
	defer cancel()
	if err := m.Wait(wait, res.Index); err != nil {
		m.cfg.Logger.Warn("meta range accepted a command that this node has not applied yet", slog.Any("err", err))
	}
	return res, nil
}

// encode encodes a command that the cluster's version allows.
func (m *Meta) encode(cmd metastate.Command) ([]byte, error) {
	if m.cfg.Versions == nil {
		return metastate.EncodeCommand(cmd)
	}
	cmd.For(m.cfg.Versions.Active(), m.cfg.Self)
	payload, err := metastate.EncodeCommand(cmd)
	if err != nil {
		return nil, err
	}
	return payload, metastate.CheckCommand(payload, m.cfg.Versions.Support(), m.cfg.Versions.Active())
}

// Leader returns who leads the meta range as far as this node knows, in which
// term, and whether it is this node.
func (m *Meta) Leader() (node cluster.NodeID, term uint64, self bool) {
	s, ok := m.cfg.Store.RangeStatus(cluster.MetaRangeID)
	if !ok {
		return 0, 0, false
	}
	return s.Leader, s.Term, s.Leader == m.cfg.Self
}
