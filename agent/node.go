// Package agent is a NodeDB node: Config, New, Run.
//
// The node is the ordered list of components in run.go; everything else here is
// glue between packages that do not know each other.
//
// # Concurrency
//
// New and Run are called once each, by one goroutine. Stop may be called by any.
package agent

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nodedb/nodedb/agent/internal/admin"
	"github.com/nodedb/nodedb/agent/internal/audit"
	"github.com/nodedb/nodedb/agent/internal/auth"
	"github.com/nodedb/nodedb/agent/internal/boottime"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/connlimit"
	"github.com/nodedb/nodedb/agent/internal/garbage"
	"github.com/nodedb/nodedb/agent/internal/gate"
	"github.com/nodedb/nodedb/agent/internal/gossip"
	"github.com/nodedb/nodedb/agent/internal/health"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/meta"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/operation"
	"github.com/nodedb/nodedb/agent/internal/peers"
	"github.com/nodedb/nodedb/agent/internal/pgwire"
	"github.com/nodedb/nodedb/agent/internal/routing"
	"github.com/nodedb/nodedb/agent/internal/schedule"
	"github.com/nodedb/nodedb/agent/internal/sql"
	"github.com/nodedb/nodedb/agent/internal/sql/duck"
	"github.com/nodedb/nodedb/agent/internal/statusboard"
	"github.com/nodedb/nodedb/agent/internal/storage"
	"github.com/nodedb/nodedb/agent/internal/store"
	"github.com/nodedb/nodedb/agent/internal/transport"
	"github.com/nodedb/nodedb/agent/internal/txn"
)

// Node is one NodeDB node.
type Node struct {
	cfg     Config
	id      Identity
	nonce   string   // of this incarnation
	earlier []string // incarnations before it
	started time.Time
	// bootedAt is when the boot-time clock was 0, by the wall clock of the start.
	bootedAt time.Time
	logger   *slog.Logger
	board    *health.Board
	usage    *usage
	logTail  *logTail
	ranges   *rangeBoard
	source   *statusboard.Source // of what others are told of this node
	lock     *dirLock
	book     *peerBook
	certs    *auth.Source
	caPass   *auth.Passphrase // of the CA's key
	keys     [][]byte         // of gossip

	listenRPC, listenAdmin net.Listener
	files                  descriptors
	doorRPC, doorAdmin     *connlimit.Gate // of the listeners
	doorGossip             *connlimit.Gate

	versions *gate.Keeper
	memory   budgets // made by Run
	queues   queues  // likewise

	// Made by the components, in their order; each is set before the next starts.
	engine    *storage.Engine
	marks     *store.Marks
	heardOut  chan struct{} // closed when peers have had the time to object to the store
	refusals  chan metastate.Command
	leads     chan struct{} // holds a signal when this node has come to lead the meta range
	clock     *hlc.Clock
	steady    *hlc.Steady // what clock follows
	clockTold clockWatch
	machine   *metastate.Machine
	table     *routing.Table
	meter     kv.Meter
	handler   *handler
	transport *transport.Transport
	store     *store.Store
	db        *kv.DB
	snapshots garbage.Snapshots // that readers here have open
	garbage   *garbage.Keeper
	meta      *meta.Meta
	gossip    *gossip.Gossip
	peers     *peers.Peers
	txns      *txn.Manager
	opServer  *operation.Server
	drainer   *operation.Drainer
	logins    *audit.Log
	export    *audit.Exporter // nil: no copy of the audit is wanted
	keeper    *certKeeper
	runner    *operation.Runner
	service   *operation.Service
	duck      atomic.Pointer[duck.Engine]
	sql       atomic.Pointer[sql.Server]
	schedules atomic.Pointer[schedule.Runner]
	hostRules hostRules
	pgwire    atomic.Pointer[pgwire.Server]
	admin     *admin.Server

	wrongHints counterRate // of the routing table
	metaTimes  indexTimes

	opened   chan struct{} // closed when the parts of the node are made, or not
	disk     diskBoard
	full     atomic.Bool // but for its reserve
	spent    atomic.Bool // the reserve, too
	examiner atomic.Pointer[store.Store]
	forsake  sync.Once
	forsaken chan struct{} // closed when nobody is to wait any more for what waits for the disk

	rate   atomic.Uint64           // of snapshots, as the store was told last
	cancel context.CancelCauseFunc // ends Run
	mu     struct {
		sync.Mutex
		service cluster.Service
		// exit is what Run returns when the node stopped by itself; nil: cleanly.
		exit error
		// unfit says why each peer was last refused for its versions.
		unfit    map[cluster.NodeID]string
		stopping bool
	}
}

// New opens what a node needs before it starts and reports everything that
// would keep it from starting; nothing on disk has changed when it fails.
func New(cfg Config) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, &ExitError{Code: ExitUsage, Message: "configuration", Err: err}
	}
	id, err := LoadIdentity(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	if err := refuseDecommissioned(cfg.DataDir, id); err != nil {
		return nil, err
	}
	n := &Node{cfg: cfg, id: id, started: time.Now().UTC(), bootedAt: time.Now().Add(-boottime.Now()), board: health.NewBoard(), usage: &usage{dir: cfg.DataDir}, logTail: &logTail{}, refusals: make(chan metastate.Command, refusalsQueue), leads: make(chan struct{}, 1), forsaken: make(chan struct{})}
	n.mu.service, n.mu.unfit = cluster.Starting, map[cluster.NodeID]string{}
	n.keeper = newCertKeeper(n)
	n.board.Set(health.Problem{Component: "node", Code: "starting"})
	n.logger = newLogger(cfg, io.MultiWriter(os.Stderr, n.logTail)).With(logattr.Node(id.Node))
	n.takeDescriptors()
	if n.lock, err = lockDir(cfg.DataDir, lockWait); err != nil {
		return nil, err
	}
	if err := n.openVersions(); err != nil {
		n.lock.release()
		return nil, err
	}
	if err := n.openSecrets(); err != nil {
		n.lock.release()
		return nil, err
	}
	if n.book, err = openPeerBook(cfg.DataDir); err != nil {
		n.lock.release()
		return nil, err
	}
	if err := n.listen(); err != nil {
		n.close()
		return nil, err
	}
	var nonce [8]byte
	_, _ = rand.Read(nonce[:])
	n.nonce = hex.EncodeToString(nonce[:])
	return n, nil
}

func (n *Node) openSecrets() error {
	certs, err := auth.OpenSource(certsPath(n.cfg.DataDir))
	if err != nil {
		return &ExitError{Code: ExitIdentity, Message: "certificates of this node", Err: err}
	}
	who := certs.Current().Identity
	if who.Node != n.id.Node || who.Cluster != n.id.ClusterID {
		return &ExitError{Code: ExitIdentity, Message: fmt.Sprintf("the certificate is for %s of cluster %s, the data directory is %s of cluster %s: one of them was copied from elsewhere", who, who.Cluster, n.id.Node, n.id.ClusterID)}
	}
	n.certs, n.caPass = certs, auth.ReadPassphrase(n.cfg.CAKeyPassphraseFile)
	text, err := auth.ReadSecret(gossipKeyPath(n.cfg.DataDir))
	if err != nil {
		return &ExitError{Code: ExitDataDir, Message: "gossip key", Err: err}
	}
	if n.keys, err = gossip.ParseKeys(text); err != nil {
		return &ExitError{Code: ExitDataDir, Message: "gossip key", Err: err}
	}
	return nil
}

// listen takes the ports of the node that the packages do not take themselves.
func (n *Node) listen() error {
	var err error
	if n.listenRPC, err = listenOn("--listen-rpc", n.cfg.ListenRPC); err != nil {
		return err
	}
	if n.listenAdmin, err = listenOn("--listen-admin", n.cfg.ListenAdmin); err != nil {
		return err
	}
	for _, l := range []struct{ flag, addr string }{{"--listen-sql", n.cfg.ListenSQL}, {"--listen-gossip", n.cfg.ListenGossip}} {
		probe, err := listenOn(l.flag, l.addr)
		if err != nil {
			return err
		}
		_ = probe.Close()
	}
	n.doorRPC, n.doorAdmin, n.doorGossip = gateOf(n.files.RPC), gateOf(n.files.Admin), gateOf(n.files.Gossip)
	n.listenRPC = &connlimit.Listener{Listener: n.listenRPC, Gate: n.doorRPC}
	n.listenAdmin = &connlimit.Listener{Listener: n.listenAdmin, Gate: n.doorAdmin}
	return probeUDP("--listen-gossip", n.cfg.ListenGossip)
}

// probeUDP finds out whether a UDP port is free: gossip needs both kinds.
func probeUDP(flag, addr string) error {
	var lc net.ListenConfig
	c, err := lc.ListenPacket(context.Background(), "udp", addr)
	if err != nil {
		return portInUse(flag, addr, err)
	}
	return c.Close()
}

func listenOn(flag, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, portInUse(flag, addr, err)
	}
	return l, nil
}

func portInUse(flag, addr string, err error) *ExitError {
	return &ExitError{Code: ExitUsage, Message: fmt.Sprintf("cannot listen on %s %s (another process there? choose another port)", flag, addr), Err: err}
}

func (n *Node) close() {
	for _, l := range []net.Listener{n.listenRPC, n.listenAdmin} {
		if l != nil {
			_ = l.Close()
		}
	}
	n.lock.release()
}

// newLogger makes the node's logger.
func newLogger(cfg Config, w io.Writer) *slog.Logger {
	levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	opts := &slog.HandlerOptions{Level: levels[cfg.LogLevel]}
	if cfg.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// farewell is D/decommissioned.json: why this node must not start again.
type farewell struct {
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
}

func farewellPath(dir string) string { return filepath.Join(dir, "decommissioned.json") }

func refuseDecommissioned(dir string, id Identity) error {
	b, err := os.ReadFile(farewellPath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var f farewell
	if err != nil || json.Unmarshal(b, &f) != nil {
		return decommissionedError(id, "")
	}
	return decommissionedError(id, " at "+f.At.Format(time.RFC3339))
}

func decommissionedError(id Identity, when string) error {
	return &ExitError{Code: ExitIdentity, Message: fmt.Sprintf("%s (%s) was decommissioned%s and cannot come back: wipe the data directory and join as a new node", id.Node, id.UUID, when)}
}

// Stop ends the node. A nil exit is a clean end.
func (n *Node) stop(why string, exit error) {
	n.mu.Lock()
	first := !n.mu.stopping
	if first {
		n.mu.stopping, n.mu.exit = true, exit
	}
	n.mu.Unlock()
	if first {
		n.logger.Info("node stops", logattr.Reason(why))
		n.cancel(errors.New(why))
	}
	if n.disk.get().State == cluster.DiskHung {
		n.forsake.Do(func() { close(n.forsaken) })
	}
}

// stopDecommissioned ends the node for good: it leaves a record that keeps this
// data directory from starting again.
func (n *Node) stopDecommissioned(string) {
	if err := n.writeFarewell(); err != nil {
		n.logger.Warn("record of the decommission is not written; peers will refuse this node", logattr.Err(err))
	}
	n.stop("decommissioned", nil)
}

// writeFarewell leaves the record, if the disk takes it in time: if it does not,
// the peers refuse this node all the same.
func (n *Node) writeFarewell() error {
	b, err := json.Marshal(farewell{At: time.Now().UTC(), Reason: "decommissioned"})
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- os.WriteFile(farewellPath(n.cfg.DataDir), b, 0o600) }()
	patience := time.NewTimer(abandonAfter)
	defer patience.Stop()
	select {
	case err := <-done:
		return err
	case <-patience.C:
		return fmt.Errorf("the disk has not taken it within %s", abandonAfter)
	}
}

// Service is what the node does for clients.
func (n *Node) serviceState() cluster.Service {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.mu.service
}

func (n *Node) setService(s cluster.Service) {
	n.mu.Lock()
	from := n.mu.service
	n.mu.service = s
	n.mu.Unlock()
	if from == s {
		return
	}
	n.logger.Info("service changed", logattr.From(string(from)), logattr.To(string(s)))
	if s == cluster.Ready {
		n.board.Clear("node")
	} else {
		n.board.Set(health.Problem{Component: "node", Code: string(s)})
	}
	if from != cluster.Starting {
		n.tellCoordinator()
	}
}

// tellTimeout bounds the wait for the coordinator: without it a drain goes on.
const tellTimeout = time.Second

// tellCoordinator makes the meta leader look at this node anew, so that it does
// not hand leaderships to a node that has begun to drain.
func (n *Node) tellCoordinator() {
	leader, _, _ := n.meta.Leader()
	if leader == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), tellTimeout)
	defer cancel()
	if _, err := n.transport.Call(ctx, leader, operation.MethodChanged, nil); err != nil {
		n.logger.Debug("the coordinator does not know of the change yet", logattr.Err(err))
	}
}

// figures are what this node says of itself to whoever asks, without ranges and
// peers: it brings the boards of those up to date.
func (n *Node) figures() cluster.NodeStatus {
	st := cluster.NodeStatus{
		Node: n.id.Node, BootNonce: n.nonce, Service: n.serviceState(), Version: n.cfg.Version, StartedAt: n.started,
		Active: n.versions.Active(), Promised: n.versions.Stored().Promised,
		MetaIndex: n.machine.View().Index, Bytes: n.engine.SizeOnDisk(),
		CPU:  n.usage.cpu(time.Now(), runtime.NumCPU()),
		Keys: n.keyStatus(), CertExpires: n.certs.Current().Expires().UTC(),
	}
	st.Clock = n.clockStatus()
	st.DiskUsed, st.DiskTotal = n.usage.disk()
	st.Disk, st.DiskFull, st.DiskSpent, st.DiskReserve = n.disk.get(), n.full.Load(), n.spent.Load(), n.cfg.reserve(st.DiskTotal)
	st.ReadsPerSecond, st.WritesPerSecond = n.ranges.refresh(time.Now())
	n.showPeers()
	if age := n.store.StatusAge(); age > time.Second {
		st.RangesAge = age.Seconds()
	}
	st.Memory = n.memoryParts(time.Now())
	st.Queues = n.queues.status(time.Now())
	st.Transactions = cluster.SumTransactions(n.transactions(), n.clock.Physical())
	st.Garbage = n.garbageStatus()
	if p := n.pgwire.Load(); p != nil {
		st.Sessions = p.Sessions()
	}
	if srv := n.sql.Load(); srv != nil {
		p := srv.Pace()
		st.Statements = cluster.Statements{PerSecond: p.PerSecond, P50: p.P50.Seconds(), P99: p.P99.Seconds()}
	}
	if _, term, _ := n.meta.Leader(); term != 0 {
		st.MetaTerm = term
	}
	return st
}

func (n *Node) liveness() map[cluster.NodeID]cluster.Liveness {
	if n.gossip == nil {
		return map[cluster.NodeID]cluster.Liveness{}
	}
	return n.gossip.View()
}
