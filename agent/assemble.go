package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/nodedb/nodedb/agent/internal/boottime"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/datastate"
	"github.com/nodedb/nodedb/agent/internal/garbage"
	"github.com/nodedb/nodedb/agent/internal/gate"
	"github.com/nodedb/nodedb/agent/internal/gossip"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/meta"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/operation"
	"github.com/nodedb/nodedb/agent/internal/peers"
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/routing"
	"github.com/nodedb/nodedb/agent/internal/sql/exec"
	"github.com/nodedb/nodedb/agent/internal/statusboard"
	"github.com/nodedb/nodedb/agent/internal/storage"
	"github.com/nodedb/nodedb/agent/internal/store"
	"github.com/nodedb/nodedb/agent/internal/transport"
)

// assemble makes the parts that need each other before any of them is used:
// disk, clock, consensus, the way to other nodes. It returns what gives them
// back, to be called last.
func (n *Node) assemble() (closeAll func(), err error) {
	var closers []func() error
	closeAll = func() {
		for i := len(closers) - 1; i >= 0; i-- {
			if err := closers[i](); err != nil {
				n.logger.Warn("close", logattr.Err(err))
			}
		}
	}
	for _, step := range []func() (func() error, error){n.openStorage, n.openAudit, n.openTransport, n.openStore, n.openGossip, n.openKV, n.openMeta} {
		closer, err := step()
		if err != nil {
			closeAll()
			return nil, err
		}
		closers = append(closers, closer)
	}
	n.makeOperation()
	n.makePeers()
	n.handler.store = n.store
	n.handler.awake, _ = n.store.Awake()
	n.handler.scan = n.db.Server().HandleScan
	n.handler.register(n.handler.clocked(n.db.Server().Methods()))
	n.handler.begins = map[string]begin{kv.MethodPropose: n.db.Server().BeginPropose}
	n.handler.register(n.txns.Methods())
	n.handler.register(n.opServer.Methods())
	n.handler.register(n.runner.Methods())
	n.handler.register(n.peers.Methods())
	n.handler.register(n.auditMethods())
	n.handler.register(n.metaMethods())
	n.handler.register(n.certMethods())
	n.handler.register(n.sessionMethods())
	n.handler.register(n.transactionMethods())
	n.handler.register(n.lockMethods())
	n.handler.register(n.caKeyMethods())
	n.handler.register(n.debugMethods())
	n.handler.register(n.garbageMethods())
	return closeAll, nil
}

func (n *Node) openStorage() (func() error, error) {
	if err := n.checkSpace(); err != nil {
		return nil, err
	}
	n.makeClock()
	engine, err := storage.Open(storage.Options{
		Dir: storePath(n.cfg.DataDir), Version: n.versions.Active(), CacheBytes: n.cfg.CacheBytes, Files: n.files.Store, Logger: n.part("storage"),
		OnDisk: func(w *storage.Watch) { go n.watchOpening(w) },
		OnDamage: func(d storage.Damage) {
			if s := n.examiner.Load(); s != nil {
				s.Examine(d)
			}
		},
		OnFatal: func(err error) { n.abandon("storage failed", n.storageError("storage", err)) },
	})
	if errors.Is(err, storage.ErrCorruption) {
		return nil, StoreLost(n.cfg.DataDir, err.Error())
	}
	if err != nil {
		exit := n.storageError("open the store", err)
		exit.Code = ExitDataDir
		return nil, exit
	}
	n.engine = engine
	if err := n.checkStore(); err != nil {
		return nil, errors.Join(err, engine.Close())
	}
	if n.marks, err = store.OpenMarks(engine); errors.Is(err, storage.ErrCorruption) {
		return nil, errors.Join(StoreLost(n.cfg.DataDir, err.Error()), engine.Close())
	} else if err != nil {
		return nil, errors.Join(&ExitError{Code: ExitDataDir, Message: "open the store", Err: err}, engine.Close())
	}
	// Before a word leaves this node: its first hello is to be compared already.
	if err := n.marks.Begin(rand.Uint32()); err != nil {
		return nil, errors.Join(n.storageError("begin a boot", err), engine.Close())
	}
	n.machine = metastate.New()
	n.machine.Subscribe(func(v *metastate.View) { n.metaTimes.note(v.Index, time.Now()) })
	n.table = routing.New(func() routing.View { return n.machine.View() })
	return engine.Close, nil
}

// spaceToStart is what a start needs at least: a log, a manifest, the first
// writes. With less the node would stop at once, in the middle of them.
const spaceToStart = 4 << 20

func (n *Node) checkSpace() error {
	if used, total := n.usage.disk(); total > 0 && total-used < spaceToStart {
		return n.diskFull(nil)
	}
	return nil
}

// diskFree is how many bytes the disk has left; all of them if nobody can tell.
func (n *Node) diskFree() uint64 {
	used, total := n.usage.disk()
	if total == 0 {
		return math.MaxUint64
	}
	return total - used
}

// storageError is what the process ends with when its disk fails it.
func (n *Node) storageError(what string, err error) *ExitError {
	if errors.Is(err, storage.ErrDiskFull) {
		return n.diskFull(err)
	}
	var errno syscall.Errno
	if !errors.Is(err, storage.ErrFatal) && !errors.Is(err, storage.ErrCorruption) && !errors.As(err, &errno) {
		return &ExitError{Code: 1, Message: what, Err: err}
	}
	return &ExitError{Code: ExitDataDir, Err: err, Message: fmt.Sprintf(
		"%s: the disk of %s fails; nothing that was acknowledged is lost; look at the disk (dmesg), put another in its place, then start the node again, or decommission it", what, n.cfg.DataDir)}
}

func (n *Node) diskFull(err error) *ExitError {
	used, total := n.usage.disk()
	return &ExitError{Code: ExitDataDir, Err: err, Message: fmt.Sprintf(
		"the disk of %s is full (%d of %d bytes free): make room, then start the node again; nothing that was acknowledged is lost", n.cfg.DataDir, total-used, total)}
}

func (n *Node) openTransport() (func() error, error) {
	n.handler = newHandler(n.part("transport"))
	t, err := transport.New(transport.Config{
		Self: n.id.Node, ClusterID: n.id.ClusterID, Nonce: n.nonce, Standing: n.marks.Standing, TLS: n.certs, Handler: n.handler, Memory: n.memory.raft,
		Supports: n.versions.Support(), OnUnfit: n.unfitPeer,
		Resolve: n.resolve, Admit: n.admit, Compare: n.compareStore, OnRefused: n.refused, Logger: n.part("transport"),
		Fault: linkFaults(n.cfg.DataDir),
	})
	if err != nil {
		return nil, fmt.Errorf("transport: %w", err)
	}
	n.transport = t
	return t.Close, nil
}

// resolve returns where a node's RPC port is.
func (n *Node) resolve(id cluster.NodeID) (string, bool) {
	node := n.machine.View().Nodes[id]
	// A node that was decommissioned just now is still told to stop.
	if node != nil && node.Membership == cluster.Decommissioned && (node.Tombstone == nil || time.Since(node.Tombstone.At) > time.Minute) {
		return "", false
	}
	at, ok := n.book.find(id, node)
	return at.RPC, ok
}

// admit refuses peers that were decommissioned, and binaries too old for the cluster.
func (n *Node) admit(p transport.Peer) error {
	if active := n.versions.Active(); p.Supports.Max < active {
		return &transport.RefusedError{Code: transport.RefusedVersion, Reason: fmt.Sprintf(
			"%s runs %s, and the cluster is at version %d: start it with the newer nodedb-agent", p.Node, p.Supports, active)}
	}
	if n.decommissioned(p.Node) {
		return &transport.RefusedError{Code: refusedDecommissioned, Reason: p.Node.String() + " was decommissioned"}
	}
	return nil
}

// decommissioned reports whether the meta range, as it is known here, says so of a
// node.
func (n *Node) decommissioned(id cluster.NodeID) bool {
	node := n.machine.View().Nodes[id]
	return node != nil && node.Membership == cluster.Decommissioned
}

const refusedDecommissioned = "decommissioned"

// refused is called when a peer does not let this node in.
func (n *Node) refused(err *transport.RefusedError) {
	if err.Code == refusedDecommissioned && n.serviceState() != cluster.Starting {
		n.stopDecommissioned("") // while it ran: nothing is wrong, its work is done
		return
	}
	if err.Code == refusedDecommissioned {
		n.stop("peers say that this node was decommissioned", decommissionedError(n.id, ""))
		return
	}
	if err.Code == transport.RefusedBehind && closed(n.handler.started) {
		n.store.TakeAnswer(err.Node, err.Detail)
	}
	if err.Code == transport.RefusedVersion {
		n.refusedForVersion(err)
	}
	n.logger.Warn("a peer refuses this node", logattr.Err(err))
}

func (n *Node) openStore() (func() error, error) {
	cfg := store.DefaultConfig()
	cfg.Node, cfg.Engine, cfg.Clock, cfg.Sender, cfg.Logger = n.id.Node, n.engine, n.clock, n.transport, n.part("store")
	cfg.Planted = planted().Planted
	cfg.ElectionTicks = int(n.cfg.ElectionTimeout / cfg.Tick)
	cfg.StallTicks = int(n.cfg.DiskStall / cfg.Tick)
	cfg.Boottime, cfg.Jitter = boottime.Now, rand.N[time.Duration]
	cfg.Machine = func(d cluster.RangeDescriptor) replica.StateMachine {
		if d.IsMeta() {
			return n.machine
		}
		return datastate.NewMetered(&n.meter, planted().Data)
	}
	cfg.Marks, cfg.BootNonce, cfg.OnBehind, cfg.OnWaiting = n.marks, rand.Uint32(), n.storeBehind, n.waiting
	n.heardOut = make(chan struct{})
	cfg.OnHeard = func() { close(n.heardOut) }
	cfg.OnFatal, cfg.Check = n.storeFailed, n.checkCommand
	cfg.Grows = func(payload []byte) bool { return datastate.Grows(payload, gate.Binary()) }
	n.garbage = garbage.NewKeeper(&n.snapshots, time.Now)
	cfg.Garbage = n.garbagePolicy
	cfg.Snapshots, cfg.Messages, cfg.DiskFree = n.memory.snapshots, n.memory.raft, n.diskFree
	s, err := store.Open(cfg)
	if errors.Is(err, gate.ErrNewer) {
		return nil, &ExitError{Code: ExitIdentity, Message: "this nodedb-agent is too old for its store: start it with the newer one", Err: err}
	}
	if errors.Is(err, storage.ErrCorruption) {
		return nil, StoreLost(n.cfg.DataDir, err.Error())
	}
	if err != nil {
		return nil, &ExitError{Code: ExitDataDir, Message: "open the replicas", Err: err}
	}
	n.examiner.Store(s)
	n.store, n.ranges = s, newRangeBoard(s.Statuses(), n.meter.Load)
	n.source = &statusboard.Source{Head: n.figures, Ranges: n.ranges.board, Peers: statusboard.New[cluster.NodeID](statusboard.Peers())}
	return s.Close, nil
}

func (n *Node) openGossip() (func() error, error) {
	g, err := gossip.New(gossip.Config{
		Self: n.id.Node, UUID: n.id.UUID, ClusterID: n.id.ClusterID, BindAddr: n.cfg.ListenGossip,
		AdvertiseAddr: n.cfg.Advertised().Gossip, Keys: n.keys, Admit: n.known, Seeds: n.seeds, Logger: n.part("gossip"),
		Door: func(raw net.Conn) net.Conn {
			if c := n.doorGossip.Admit(raw); c != nil {
				return c
			}
			return nil // not a nil *Conn in an interface
		},
	})
	if err != nil {
		return nil, fmt.Errorf("gossip: %w", err)
	}
	n.gossip = g
	g.Subscribe(func(t gossip.Transition) {
		n.logger.Info("liveness changed", logattr.Peer(t.Node), logattr.From(string(t.From)), logattr.To(string(t.To)))
		if t.To != cluster.Alive {
			n.doubted(t.Node)
		}
	})
	return g.Close, nil
}

// known tells gossip which names belong to the cluster: all, until the meta
// range has arrived.
func (n *Node) known(id cluster.NodeID, uuid string) bool {
	node := n.machine.View().Nodes[id]
	if node == nil {
		return !n.machine.View().Initialized() || uuid == n.id.UUID
	}
	return node.UUID == uuid && node.Membership != cluster.Decommissioned
}

// seeds are the nodes that gossip should see.
func (n *Node) seeds() []gossip.Seed {
	var out []gossip.Seed
	v := n.machine.View()
	for _, id := range n.others() {
		if at, ok := n.book.find(id, v.Nodes[id]); ok {
			out = append(out, gossip.Seed{Node: id, UUID: at.UUID, Addr: at.Gossip})
		}
	}
	return out
}

func (n *Node) openKV() (func() error, error) {
	awake, _ := n.store.Awake()
	n.makeTransactions()
	db, err := kv.New(kv.Config{
		Awake: awake,
		Self:  n.id.Node, Store: n.store, Caller: &watched{n.transport, n}, Clock: n.clock, Table: n.table, Meter: &n.meter,
		Resolver: n.txns, Peers: n.others, Suspect: n.suspects, Active: n.versions.Active,
		Requests: n.memory.requests, Reads: n.memory.reads, ViewAge: n.cfg.ViewAge, Snapshots: &n.snapshots,
		ClosedLag: func() time.Duration { return n.machine.View().Settings.ClosedLag() },
		Kept:      func() time.Duration { return n.machine.View().Settings.GCTTL() },
		Programs:  exec.NewPrograms().Begin,
	})
	if err != nil {
		return nil, err
	}
	n.db = db
	n.txns.Open(db)
	return func() error {
		n.txns.Close()
		return db.Close()
	}, nil
}

// others are the nodes that may lead a range.
func (n *Node) others() []cluster.NodeID {
	return slices.DeleteFunc(n.book.members(n.machine.View()), func(id cluster.NodeID) bool { return id == n.id.Node })
}

func (n *Node) openMeta() (func() error, error) {
	m, err := meta.New(meta.Config{Self: n.id.Node, Machine: n.machine, DB: n.db, Store: n.store, Versions: n.versions, Logger: n.part("meta")})
	if err != nil {
		return nil, err
	}
	n.meta = m
	n.store.OnDescriptor(func(d cluster.RangeDescriptor) {
		m.Publish(d)
		n.db.Table().Learn(d)
		if d.IsMeta() {
			select {
			case n.leads <- struct{}{}:
			default:
			}
		}
	})
	n.applySettings(m.View())
	m.Subscribe(n.applySettings)
	return m.Close, nil
}

func (n *Node) makeOperation() {
	n.drainer = operation.NewDrainer(operation.DrainerConfig{
		Self: n.id.Node, BootNonce: n.nonce, Store: n.store, SQL: &sqlSessions{n}, Meta: n.meta,
		SetService: n.setService, Liveness: n.liveness,
		Flush: n.flush,
		Stop:  n.stopByOperation,
		MayStop: func(ctx context.Context, op string) (operation.StopCertificate, error) {
			return n.runner.AskMayStop(ctx, op)
		},
		Logger: n.part("drain"), Now: n.steady.Now,
	})
	n.opServer = &operation.Server{
		Store: n.store, Inspect: n.store.Inspect, Status: n.source, Drainer: n.drainer, Stop: n.stopByOperation,
		Middle: n.db.Middle,
		Descriptor: func(ctx context.Context, id cluster.RangeID) (*cluster.RangeDescriptor, error) {
			h, err := n.store.Read(ctx, id, n.clock.Now(), store.Scope{})
			if err != nil {
				return nil, err
			}
			defer h.Close()
			return h.Descriptor.Clone(), nil
		},
	}
	n.runner = operation.NewRunner(operation.RunnerConfig{
		Self: n.id.Node, Meta: n.meta, Caller: n.transport, Server: n.opServer, Liveness: n.liveness, Logger: n.part("coordinator"), Now: n.steady.Now, Leads: n.leads, Schemas: schemaChanger{n},
	})
	n.service = operation.NewService(operation.ServiceConfig{
		Self: n.id.Node, Meta: n.meta, Caller: n.transport, Server: n.opServer, Liveness: n.liveness,
		Sweeps: n.runner.Sweeps, Now: n.steady.Now,
	})
}

func (n *Node) makePeers() {
	n.peers = peers.New(peers.Config{
		Self: n.id.Node, Nonce: n.nonce, Caller: n.transport, Peers: n.others, Steady: n.steady, OnJudged: n.clockJudged,
		MetaIndex: func() uint64 { return n.machine.View().Index }, OnOpen: n.doubted, Logger: n.part("peers"),
		Mark: n.marks.Ping, OnMark: func(id cluster.NodeID, m cluster.Mark) { n.marks.Hear(id, m) },
	})
	n.peers.Judge() // a node without peers need not wait for Run
}

// stopByOperation ends the process because an operation says so.
func (n *Node) stopByOperation(reason string) {
	if reason == "decommissioned" {
		n.stopDecommissioned(reason)
		return
	}
	n.stop(reason, nil)
}

func (n *Node) part(name string) *slog.Logger { return n.logger.With(logattr.Component(name)) }

// spillDir is the SQL worker's scratch space.
func spillDir(dir string) string { return filepath.Join(dir, "spill") }
