package admin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/nodedb/nodedb/agent/internal/audit"
	"github.com/nodedb/nodedb/agent/internal/auth"
	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/health"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/placement"
	"github.com/nodedb/nodedb/client/adminpb"
)

const clusterID = "c-test"

// fakeBackend is a cluster of three nodes and five ranges in memory.
type fakeBackend struct {
	behind      atomic.Int64 // in how many looks from now on no follower has caught up
	mu          sync.Mutex
	view        *metastate.View
	subscribers map[int]func(*metastate.View)
	next        int
	statuses    map[cluster.NodeID]*cluster.NodeStatus
	service     cluster.Service
	startErr    error
	drains      []cluster.OperationSpec
	observed    atomic.Int64
	denied      []audit.Entry
	ca          *auth.CA
	rotated     []string
	proofs      map[cluster.NodeID]AuditProof
	sessions    map[cluster.NodeID][]cluster.Session
	txns        []cluster.Transaction
	silent      []cluster.NodeID // do not tell of their sessions
	ended       []string
	pending     int // times that a change of a schedule is refused for a transaction in the way
	settled     int // times that one was waited for
}

func newFakeBackend(ca []byte) *fakeBackend {
	v := &metastate.View{
		Index: 100, ClusterID: clusterID, ClusterName: "test", CACert: string(ca), Settings: metastate.Settings{},
		Nodes:   map[cluster.NodeID]*cluster.Node{},
		Objects: map[cluster.ObjectID]*cluster.Object{100: {ID: 100, Parent: cluster.MainPublic, Kind: cluster.KindTable, Name: "users", Collection: &cluster.Collection{}}}, Operations: map[string]*cluster.Operation{},
		Certificates: map[string]*metastate.Certificate{},
		Tokens:       map[string]*metastate.Token{}, JoinTokens: map[string]*metastate.JoinToken{}, Users: map[string]*metastate.User{},
	}
	for _, u := range []string{"viewer", "operator", "admin", "nobody"} {
		role := u
		if u == "nobody" {
			role = ""
		}
		v.Users[u] = &metastate.User{Name: u, AdminRole: role}
	}
	b := &fakeBackend{view: v, subscribers: map[int]func(*metastate.View){}, statuses: map[cluster.NodeID]*cluster.NodeStatus{}, service: cluster.Ready}
	for id := cluster.NodeID(1); id <= 3; id++ {
		v.Nodes[id] = &cluster.Node{
			ID: id, UUID: fmt.Sprintf("uuid-%d", id), Name: id.String(), Membership: cluster.Active, Version: "v1",
			Addresses: cluster.Addresses{SQL: fmt.Sprintf("127.0.0.1:%d6432", id), Admin: fmt.Sprintf("127.0.0.1:%d6480", id)},
		}
		b.statuses[id] = &cluster.NodeStatus{
			Node: id, Service: cluster.Ready, Version: "v1", Bytes: 1000 * uint64(id), DiskUsed: 10, DiskTotal: 100,
			Peers: map[cluster.NodeID]cluster.PeerStatus{1: {Liveness: cluster.Alive}, 2: {Liveness: cluster.Alive}, 3: {Liveness: cluster.Alive}},
		}
		if id == 1 {
			b.statuses[id].Keys.Signs = "5161"
		}
	}
	for id := cluster.RangeID(1); id <= 5; id++ {
		d := &cluster.RangeDescriptor{ID: id, Generation: 4, NextReplica: 4}
		if id > 1 {
			d.Start, d.End = (cluster.VShard(id-2) * 256).Key(), (cluster.VShard(id-1) * 256).Key()
		}
		for n := cluster.NodeID(1); n <= 3; n++ {
			d.Replicas = append(d.Replicas, cluster.ReplicaDescriptor{Node: n, Replica: cluster.ReplicaID(n), Role: cluster.Voter})
		}
		v.Ranges = v.Ranges.With(d)
		leader := cluster.NodeID(id%3) + 1
		for n := cluster.NodeID(1); n <= 3; n++ {
			st := cluster.RangeStatus{Descriptor: *d, Replica: cluster.ReplicaID(n), Leader: leader, Term: 7, Commit: 50, Applied: 50, Bytes: 4096, Keys: 10}
			if n == leader {
				st.Reads, st.Lease = 9, &cluster.LeaseStatus{Lack: cluster.LeaseUnbound, Awake: "it is used", Confirmed: 3, Refused: 1, Voters: []cluster.LeaseVoter{
					{Node: 2, Supports: true}, {Node: 3, Supports: true, Bound: cluster.SupportEpoch{Boot: cluster.NewBoot(4, 7), Count: 2}}}}
			}
			b.statuses[n].Ranges = append(b.statuses[n].Ranges, &st)
		}
	}
	return b
}

func (b *fakeBackend) Sessions(context.Context, time.Duration) (map[cluster.NodeID][]cluster.Session, []cluster.NodeID) {
	return b.sessions, b.silent
}

func (b *fakeBackend) Transactions(context.Context, time.Duration) ([]cluster.Transaction, []cluster.NodeID) {
	cluster.LinkTransactions(b.txns)
	return b.txns, b.silent
}

func (b *fakeBackend) EndSession(_ context.Context, node cluster.NodeID, pid uint32, terminate bool) (there, ended bool, err error) {
	b.ended = append(b.ended, fmt.Sprint(node, pid, terminate))
	return true, true, nil
}

func (b *fakeBackend) Self() cluster.NodeID                 { return 1 }
func (b *fakeBackend) Version() string                      { return "v1" }
func (b *fakeBackend) MetaLeader() (cluster.NodeID, uint64) { return 2, 41 }

func (b *fakeBackend) VerifyRange(_ context.Context, id cluster.RangeID) (cluster.Comparison, error) {
	return cluster.Comparison{Index: 50, At: time.UnixMilli(1_700_000_000_000).UTC(), Same: []cluster.NodeID{1, 3}, Differ: []cluster.NodeID{2}}, nil
}

func (b *fakeBackend) InspectRaft(_ context.Context, id cluster.RangeID, nodes []cluster.NodeID, _ time.Duration) map[cluster.NodeID]*cluster.RaftState {
	out := map[cluster.NodeID]*cluster.RaftState{}
	for _, n := range nodes {
		for _, st := range b.statuses[n].Ranges {
			if st.Descriptor.ID == id && n != 3 { // n3 does not answer
				state := "follower"
				if st.IsLeader() {
					state = "leader"
				}
				out[n] = &cluster.RaftState{Status: *st, State: state, Vote: cluster.ReplicaID(st.Leader), FirstIndex: 11, LastIndex: 50, LogBytes: 4000}
			}
		}
	}
	return out
}

func (b *fakeBackend) Service() cluster.Service {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.service
}

func (b *fakeBackend) View() *metastate.View {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.view
}

// change publishes a changed copy of the view.
func (b *fakeBackend) change(fn func(*metastate.View)) {
	b.mu.Lock()
	v := *b.view
	v.Index++
	v.Nodes, v.Operations, v.Users = maps.Clone(v.Nodes), maps.Clone(v.Operations), maps.Clone(v.Users)
	v.Tokens, v.JoinTokens = maps.Clone(v.Tokens), maps.Clone(v.JoinTokens)
	fn(&v)
	b.view = &v
	subs := maps.Clone(b.subscribers)
	b.mu.Unlock()
	for _, fn := range subs {
		fn(&v)
	}
}

func (b *fakeBackend) Propose(_ context.Context, cmd metastate.Command) (metastate.Result, error) {
	if cmd.SwitchSchedule != nil && b.pending > 0 {
		b.pending--
		return metastate.Result{Refusal: &metastate.Refusal{Code: metastate.CodePending, Message: "a transaction is changing the same"}}, nil
	}
	b.change(func(v *metastate.View) {
		for _, c := range append(cmd.Batch, cmd) {
			switch {
			case c.CreateToken != nil:
				t := c.CreateToken
				v.Tokens[t.ID] = &metastate.Token{ID: t.ID, Owner: t.Owner, Role: t.Role, Hash: t.Hash, ExpiresAt: t.ExpiresAt, CreatedBy: cmd.By}
			case c.RevokeToken != nil:
				t := *v.Tokens[c.RevokeToken.ID]
				t.RevokedAt = time.Now()
				v.Tokens[t.ID] = &t
			case c.CreateJoinToken != nil:
				t := c.CreateJoinToken
				v.JoinTokens[t.ID] = &metastate.JoinToken{ID: t.ID, Hash: t.Hash, Node: t.Node, Uses: t.Uses, ExpiresAt: t.ExpiresAt}
			case c.RevokeJoinToken != nil:
				delete(v.JoinTokens, c.RevokeJoinToken.ID)
			case c.IssueCertificate != nil:
				i := c.IssueCertificate
				v.Certificates = maps.Clone(v.Certificates)
				v.Certificates[i.Serial] = &metastate.Certificate{Serial: i.Serial, User: i.User, KeyHash: i.KeyHash, ExpiresAt: i.ExpiresAt}
			case c.RevokeCertificate != nil:
				v.Certificates = maps.Clone(v.Certificates)
				v.Certificates[c.RevokeCertificate.Serial] = &metastate.Certificate{Serial: c.RevokeCertificate.Serial, RevokedAt: time.Now()}
			case c.RotateCA != nil:
				b.rotated = append(b.rotated, c.RotateCA.Step)
				v.CARotation = &metastate.Rotation{State: c.RotateCA.Step + "d", Next: c.RotateCA.Next}
			case c.RotateGossip != nil:
				b.rotated = append(b.rotated, c.RotateGossip.Step)
				v.GossipRotation = &metastate.Rotation{State: c.RotateGossip.Step + "d", Next: c.RotateGossip.Next}
			case c.EndSession != nil:
				b.ended = append(b.ended, fmt.Sprintf("recorded %d of %s by %s: %s", c.EndSession.PID, c.EndSession.User, cmd.By, c.EndSession.Reason))
			case c.SetCordon != nil:
				n := *v.Nodes[c.SetCordon.Node]
				n.Cordon = c.SetCordon.Cordon
				v.Nodes[n.ID] = &n
			}
		}
	})
	return metastate.Result{Index: b.View().Index}, nil
}

func (b *fakeBackend) Subscribe(fn func(*metastate.View)) func() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.next++
	id := b.next
	b.subscribers[id] = fn
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.subscribers, id)
	}
}

func (b *fakeBackend) Observe(context.Context, time.Duration) (Observation, error) {
	b.observed.Add(1)
	b.mu.Lock()
	defer b.mu.Unlock()
	o := Observation{At: time.Now(), View: b.view, Statuses: maps.Clone(b.statuses), Liveness: map[cluster.NodeID]cluster.Liveness{}, Snapshot: &placement.Snapshot{}}
	for id, n := range b.view.Nodes {
		o.Liveness[id] = cluster.Alive
		if b.statuses[id] == nil {
			o.Liveness[id] = cluster.Dead
			o.Missing = append(o.Missing, id)
		}
		where, err := cluster.ParseLocality(n.Locality)
		if err != nil {
			return o, err
		}
		o.Snapshot.Nodes = append(o.Snapshot.Nodes, placement.Node{ID: id, Locality: where, Membership: n.Membership, Liveness: o.Liveness[id], Service: cluster.Ready, Reported: b.statuses[id] != nil})
	}
	for _, id := range b.view.PoolIDs() {
		o.Snapshot.Pools = append(o.Snapshot.Pools, *b.view.Pools[id])
	}
	for id, d := range b.view.Ranges.All() {
		o.Snapshot.Ranges = append(o.Snapshot.Ranges, placement.Range{Descriptor: *d, Leader: cluster.NodeID(id%3) + 1, Caught: []cluster.NodeID{1, 2, 3}})
	}
	if b.behind.Add(-1) >= 0 {
		for i := range o.Snapshot.Ranges {
			r := &o.Snapshot.Ranges[i]
			r.Caught = []cluster.NodeID{r.Leader}
		}
	}
	o.Snapshot.Sort()
	return o, nil
}

func (b *fakeBackend) Pings(context.Context, time.Duration) map[cluster.NodeID]*cluster.NodeStatus {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.statuses)
}

func (b *fakeBackend) Denied(e audit.Entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.denied = append(b.denied, e)
}

func (b *fakeBackend) Audit(after uint64, fn func(*metastate.AuditRecord) bool) error {
	for i := after; i < 5; i++ {
		if !fn(&metastate.AuditRecord{Sequence: i + 1, By: "root", Action: "SetCordon", Decision: metastate.DecisionDone, Time: time.Unix(int64(1000+i), 0)}) {
			return nil
		}
	}
	return nil
}

func (b *fakeBackend) Logins(context.Context, time.Time, int, time.Duration) (map[cluster.NodeID][]audit.Record, []cluster.NodeID) {
	return map[cluster.NodeID][]audit.Record{2: {{Sequence: 9, Time: time.Unix(1002, 500), Entry: audit.Entry{User: "eve", Action: "Login", Decision: metastate.DecisionRefused, Count: 3}}}}, []cluster.NodeID{3}
}

func (b *fakeBackend) VerifyAudit(context.Context, time.Duration) (map[cluster.NodeID]AuditProof, []cluster.NodeID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.proofs), nil
}

func (b *fakeBackend) SignClient(_ context.Context, serial string, csr []byte) ([]byte, error) {
	pub, _, err := auth.CSRKey(csr)
	if err != nil {
		return nil, err
	}
	c := b.View().Certificates[serial]
	return b.ca.IssueClientFor(auth.ClientGrant{User: c.User, Serial: serial, Expires: c.ExpiresAt}, clusterID, pub)
}

func (b *fakeBackend) RenewNode(context.Context, cluster.NodeID) (cluster.KeyStatus, error) {
	return cluster.KeyStatus{Serial: "aa"}, nil
}

func (b *fakeBackend) MoveCAKey(context.Context, uint64, cluster.NodeID, cluster.NodeID) error {
	return nil
}

func (b *fakeBackend) NextCA(context.Context) ([]byte, error) {
	ca, err := auth.NewCA(clusterID)
	if err != nil {
		return nil, err
	}
	return ca.CertPEM(), nil
}

func (b *fakeBackend) NewGossipKey() (string, error) { return "f00d", nil }

func (b *fakeBackend) Row(collection string, _ []string) ([]byte, error) {
	if collection != "users" {
		return nil, &Error{Kind: KindNotFound, Message: "there is no collection " + collection}
	}
	return keys.Row(cluster.DefaultPool, 417, 7, []byte("k")), nil
}

func (b *fakeBackend) Plan(ctx context.Context, spec cluster.OperationSpec) (Preview, error) {
	o, err := b.Observe(ctx, 0)
	if err != nil {
		return Preview{}, err
	}
	p, v := placement.Make(o.Snapshot, placement.Intent{Goal: placement.Goal(spec.Kind), Nodes: spec.Nodes})
	return Preview{Plan: p, Verdict: v, Took: time.Millisecond}, nil
}

func (b *fakeBackend) Start(_ context.Context, r StartRequest) (cluster.Operation, bool, error) {
	if b.startErr != nil {
		return cluster.Operation{}, false, b.startErr
	}
	op := cluster.Operation{ID: "op-7f3a", Spec: r.Spec, State: cluster.OpRunning, RequestedBy: r.By, Reason: r.Reason, CreatedAt: time.Now()}
	b.change(func(v *metastate.View) { v.Operations[op.ID] = &op })
	return op, false, nil
}

// finish moves the operation to a state.
func (b *fakeBackend) finish(id string, state cluster.OperationState) {
	b.change(func(v *metastate.View) {
		o := *v.Operations[id]
		o.State = state
		v.Operations[id] = &o
	})
}

func (b *fakeBackend) Cancel(_ context.Context, r CancelRequest) (cluster.Operation, error) {
	b.finish(r.ID, cluster.OpCancelling)
	return *b.View().Operations[r.ID], nil
}

func (b *fakeBackend) Undrain(context.Context, NodesRequest) ([]cluster.Operation, error) {
	return nil, nil
}
func (b *fakeBackend) Recommission(context.Context, NodesRequest) ([]cluster.Operation, error) {
	return nil, nil
}

func (b *fakeBackend) DrainSelf(_ context.Context, spec cluster.OperationSpec, by string) (cluster.Operation, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drains = append(b.drains, spec)
	return cluster.Operation{ID: "op-d", State: cluster.OpRunning, RequestedBy: by}, nil
}

func (b *fakeBackend) RoutingTables(context.Context, time.Duration) map[cluster.NodeID]RoutingTable {
	good := RoutingTable{MetaIndex: 100, Generations: map[cluster.RangeID]uint64{1: 4, 2: 4, 3: 4, 4: 4, 5: 4}}
	old := RoutingTable{
		MetaIndex: 90, Generations: map[cluster.RangeID]uint64{1: 4, 2: 3, 3: 4, 4: 4, 5: 4},
		Leaders: map[cluster.RangeID]cluster.NodeID{3: 1, 4: 3}, WrongPerSecond: 2,
	}
	return map[cluster.NodeID]RoutingTable{1: good, 2: old}
}

func (b *fakeBackend) Behind(index uint64) time.Duration {
	return time.Duration(100-index) * time.Second
}

func (b *fakeBackend) Collect(_ context.Context, node cluster.NodeID, item string) (DebugItem, error) {
	if node == 3 {
		return DebugItem{}, &Error{Kind: KindUnavailable, Message: "n3 does not answer"}
	}
	return DebugItem{Name: item + ".txt", Content: []byte(node.String())}, nil
}

// rig is a server on a loopback port, with clients of every role.
type rig struct {
	t       *testing.T
	backend *fakeBackend
	board   *health.Board
	server  *Server
	ca      *auth.CA
	base    string
	socket  string
}

func newRig(t *testing.T) *rig {
	t.Helper()
	return newRigWith(t, func(*Config) {})
}

func newRigWith(t *testing.T, change func(*Config)) *rig {
	t.Helper()
	ca, err := auth.NewCA(clusterID)
	if err != nil {
		t.Fatal(err)
	}
	key, err := auth.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	certPEM, err := ca.IssueNode(clusterID, 1, []string{"127.0.0.1"}, key.Public())
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := auth.ParseCerts(certPEM)
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := auth.NewBundle([]*x509.Certificate{ca.Cert()}, leaf[0], key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, backend: newFakeBackend(ca.CertPEM()), board: health.NewBoard(), ca: ca, base: "https://" + l.Addr().String(), socket: filepath.Join(t.TempDir(), "s")}
	r.backend.ca = ca
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "nodedb_test_gauge", Help: "A gauge."}))
	cfg := Config{
		Backend: r.backend, TLS: auth.NewSource(bundle).AdminConfig(), Listener: l, Socket: r.socket, Health: r.board, Metrics: registry,
		Join:   http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }),
		Logger: slog.New(slog.DiscardHandler),
	}
	change(&cfg)
	r.server = New(cfg)
	// Tests call as fast as they can: for them an hour passes with each call.
	var hours atomic.Int64
	r.server.limits.now = func() time.Time { return time.Unix(3600*hours.Add(1), 0) }
	ctx, cancel := context.WithCancel(context.Background())
	done, ready := make(chan error, 1), make(chan struct{})
	go func() { done <- r.server.Run(ctx, func() { close(ready) }) }()
	<-ready
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return r
}

// http is a client with the certificate of user, or none.
func (r *rig) http(user string) *http.Client {
	r.t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(r.ca.Cert())
	cfg := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}
	if user != "" {
		cfg.Certificates = []tls.Certificate{r.cert(user)}
	}
	tr := &http.Transport{TLSClientConfig: cfg, ForceAttemptHTTP2: true}
	r.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func (r *rig) cert(user string) tls.Certificate {
	r.t.Helper()
	key, err := auth.NewKey()
	if err != nil {
		r.t.Fatal(err)
	}
	certPEM, err := r.ca.IssueClient(clusterID, user, key.Public())
	if err != nil {
		r.t.Fatal(err)
	}
	keyPEM, err := auth.KeyPEM(key)
	if err != nil {
		r.t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		r.t.Fatal(err)
	}
	return pair
}

type bearerTransport struct {
	token string
	next  http.RoundTripper
}

func (b *bearerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.next.RoundTrip(r)
}

// client calls the API as user ("": nobody), by certificate.
func (r *rig) client(user string, opts ...connecthttp.Option) adminpb.AdminClient {
	return adminpb.NewAdminClient(connect.NewClient(connecthttp.NewTransport(r.http(user), r.base, opts...)))
}

// tokenClient calls the API with a token.
func (r *rig) tokenClient(token string, opts ...connecthttp.Option) adminpb.AdminClient {
	hc := r.http("")
	hc.Transport = &bearerTransport{token, hc.Transport}
	return adminpb.NewAdminClient(connect.NewClient(connecthttp.NewTransport(hc, r.base, opts...)))
}

func (b *fakeBackend) RunSchedule(ctx context.Context, id cluster.ObjectID, reason string, propose func(context.Context, metastate.Command) (metastate.Result, error)) (*cluster.ScheduleRun, error) {
	_, err := propose(ctx, metastate.Command{RunNow: &metastate.RunNow{Schedule: id, Node: 1, Reason: reason}})
	return &cluster.ScheduleRun{Schedule: id, Number: 8, State: cluster.RunRunning, Node: 1}, err
}

func (b *fakeBackend) NextDue(*cluster.Object) time.Time { return time.UnixMilli(1_700_000_060_000) }

func (b *fakeBackend) Settle(context.Context, *metastate.Refusal) error {
	b.settled++
	return nil
}
