package agent

import (
	"context"
	"errors"
	"net/http"
	"os"
	"time"

	"github.com/nodedb/nodedb/agent/internal/admin"
	"github.com/nodedb/nodedb/agent/internal/auth"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/gossip"
	"github.com/nodedb/nodedb/agent/internal/lifecycle"
	"github.com/nodedb/nodedb/agent/internal/logattr"
	"github.com/nodedb/nodedb/agent/internal/pgwire"
	"github.com/nodedb/nodedb/agent/internal/sql"
	"github.com/nodedb/nodedb/agent/internal/sql/duck"
	"github.com/nodedb/nodedb/agent/internal/sql/exec"
)

// stopTimeout bounds the stop of one component.
const stopTimeout = 20 * time.Second

// Run runs the node until ctx is done, then drains it and stops. It returns nil
// after a clean stop, of a decommissioned node too, and an *ExitError otherwise.
func (n *Node) Run(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- n.run(ctx) }()
	select {
	case err := <-done:
		return err
	case <-n.forsaken:
	}
	patience := time.NewTimer(abandonAfter)
	defer patience.Stop()
	select {
	case err := <-done:
		return err
	case <-patience.C:
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.mu.exit // what still waits for the disk ends with the process
}

func (n *Node) run(ctx context.Context) error {
	defer n.close()
	run, cancel := context.WithCancelCause(context.Background())
	n.cancel = cancel
	defer cancel(nil)
	division := n.cfg.memory(os.DirFS("/"))
	division.apply(n.logger)
	n.memory = division.budgets()
	n.queues = n.cfg.statementQueues(division).make()
	n.opened = make(chan struct{})
	closeAll, err := n.assemble()
	close(n.opened) // watchDisk goes on
	if err != nil {
		return err
	}

	watch, unwatch := context.WithCancel(context.Background())
	defer unwatch() // the last: what closes may wait for the disk
	defer closeAll()
	go n.watchDisk(watch)
	go func() { // ends with run, below
		select {
		case <-ctx.Done():
			n.drainToStop()
			n.stop("asked to stop", nil)
		case <-run.Done():
		}
	}()
	group := lifecycle.Group{Components: n.components(), StopTimeout: stopTimeout, Logger: n.logger}
	err = group.Run(run, func() {
		n.setService(cluster.Ready)
		n.logger.Info("node is ready", logattr.Address(n.cfg.Advertised().SQL))
	})
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.mu.stopping {
		return n.mu.exit // what components say while they stop is not why
	}
	return err
}

// components are the parts of a node, in the order of their start.
func (n *Node) components() []lifecycle.Component {
	return []lifecycle.Component{
		{Name: "audit log", Run: n.logins.Run},
		{Name: "admin API", Run: n.runAdmin},
		{Name: "transport", Run: n.runTransport},
		{Name: "first start", Run: n.firstStart},
		{Name: "asking --peer", Run: n.askPeers},
		{Name: "peer addresses", Run: n.keepPeers},
		{Name: "meta publisher", Run: n.meta.Run},
		{Name: "refusals", Run: n.recordRefusals},
		{Name: "gossip", Run: n.runGossip},
		{Name: "peers", Run: n.runPeers},
		{Name: "coordinator", Run: n.runCoordinator},
		{Name: "registration", Run: n.register},
		{Name: "cluster version", Run: n.followVersion},
		{Name: "garbage", Run: n.askGateways},
		{Name: "drainer", Run: n.drainer.Run},
		{Name: "SQL worker", Run: n.runDuck},
		{Name: "audit anchor", Run: n.anchorAudit},
		{Name: "audit export", Run: n.exportAudit},
		{Name: "certificates", Run: n.keeper.Run},
		{Name: "health watch", Run: n.watchHealth},
		{Name: "memory watch", Run: n.watchMemory},
		{Name: "statements watch", Run: n.watchStatements},
		{Name: "lock watch", Run: n.watchLocks},
		{Name: "schedules", Run: n.runSchedules},
		{Name: "SQL", Run: n.runSQL},
	}
}

// drainToStop makes the node safe to stop; it does what it can in the time.
func (n *Node) drainToStop() {
	n.mu.Lock()
	running := n.mu.service != cluster.Starting && !n.mu.stopping
	n.mu.Unlock()
	if !running {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), n.cfg.DrainDeadline+5*time.Second)
	defer cancel()
	spec := cluster.OperationSpec{Kind: cluster.OpDrain, Nodes: []cluster.NodeID{n.id.Node}, Deadline: n.cfg.DrainDeadline.Seconds(), OnDeadline: "force"}
	if err := n.drainer.Drain(ctx, spec); err != nil {
		n.logger.Warn("node stops before it is drained", logattr.Err(err))
	}
}

func (n *Node) runAdmin(ctx context.Context, ready func()) error {
	n.admin = admin.New(admin.Config{
		Backend: &backend{n}, TLS: n.certs.AdminConfig(), Listener: n.listenAdmin, Socket: SocketPath(n.cfg.DataDir),
		Join: n.joinHandler(), Reset: n.resetHandler(), Peers: http.HandlerFunc(n.servePeers), Metrics: n.metrics(), Health: n.board, Logger: n.part("admin"),
	})
	return n.admin.Run(ctx, ready)
}

func (n *Node) runTransport(ctx context.Context, ready func()) error {
	close(n.handler.started)
	served := make(chan error, 1)
	go func() { served <- n.transport.Serve(n.listenRPC) }()
	ready()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	err := n.transport.Close()
	return errors.Join(err, <-served)
}

func (n *Node) runGossip(ctx context.Context, ready func()) error {
	if err := n.gossip.Join(n.seeds()); err != nil {
		n.logger.Warn("no other node answers gossip yet, will try again", logattr.Err(err))
	}
	ready()
	<-ctx.Done()
	return n.gossip.Leave(2 * time.Second)
}

func (n *Node) runPeers(ctx context.Context, ready func()) error {
	return n.peers.Run(ctx, ready)
}

func (n *Node) runCoordinator(ctx context.Context, ready func()) error {
	n.gossip.Subscribe(func(gossip.Transition) { n.runner.Wake() })
	return n.runner.Run(ctx, ready)
}

func (n *Node) runDuck(ctx context.Context, ready func()) error {
	d, err := duck.Open(ctx, duck.Config{MemoryBytes: n.cfg.SQLMemory, SpillDir: spillDir(n.cfg.DataDir), SpillBytes: n.cfg.spillBytes(), Logger: n.part("sqlworker")})
	if err != nil {
		return err
	}
	defer d.Close()
	n.duck.Store(d)
	notifier := &notifier{n: n}
	defer notifier.stop()
	server, err := sql.NewServer(sql.Config{
		DB: exec.Wrap(n.db, n.txns), Meta: n.meta, Duck: d, Views: &clusterViews{n}, Operator: n.service, Waiter: n.service, Ender: &backend{n}, Notifier: notifier, Rebalancer: n.service, Node: n.id.Node, Memory: n.memory.statements, MaxSessions: n.cfg.MaxConnections,
		Short: n.queues.short, Long: n.queues.long, Now: n.clock.Physical, ClosedLag: func() time.Duration { return n.machine.View().Settings.ClosedLag() },
		ScratchDir: spillDir(n.cfg.DataDir), Version: n.cfg.Version, Denied: n.recordDenial, Logger: n.part("sql"), Planted: planted().SQL,
	})
	if err != nil {
		return err
	}
	n.sql.Store(server)
	ready()
	server.RunTemporary(ctx)
	return nil
}

func (n *Node) runSQL(ctx context.Context, ready func()) error {
	cfg := pgwire.DefaultConfig()
	cfg.Listen, cfg.TLS, cfg.ClusterID, cfg.Logger = n.cfg.ListenSQL, n.certs.SQLConfig(), n.id.ClusterID, n.part("pgwire")
	cfg.MaxConnections = n.files.SQL
	cfg.Memory = n.memory.sessions
	cfg.RequireTLS = true
	cfg.SaltSecret = n.saltSecret()
	cfg.Credentials = func(user string) (string, bool) {
		u := n.machine.View().Users[user]
		if u == nil || u.Verifier == "" || !u.PasswordValid(time.Now()) {
			return "", false
		}
		return u.Verifier, true
	}
	cfg.Limits = func(user string) (int, bool) {
		u := n.machine.View().Users[user]
		if u == nil || u.ConnectionLimit == nil {
			return -1, u != nil && u.AdminRole == auth.RoleAdmin.String()
		}
		return int(*u.ConnectionLimit), u.AdminRole == auth.RoleAdmin.String()
	}
	cfg.Open = func(ctx context.Context, o sql.SessionOptions) (pgwire.Session, error) {
		return n.sql.Load().Open(ctx, o)
	}
	cfg.Node, cfg.ForwardCancel = uint32(n.id.Node), n.forwardCancel
	cfg.Audit, cfg.Valid, cfg.Admit = n.recordLogin, n.loginValid, n.admitSQL
	s, err := pgwire.New(cfg)
	if err != nil {
		return &ExitError{Code: ExitUsage, Message: "SQL port", Err: err}
	}
	n.pgwire.Store(s)
	return s.Run(ctx, ready)
}

// saltSecret makes the salts of unknown users: the same on all nodes, and
// nothing that a client can compute.
func (n *Node) saltSecret() []byte { return auth.DeriveSecret(n.keys[0], "scram salt") }
