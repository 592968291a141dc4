package sql

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/hlc"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/kv"
	"github.com/nodedb/nodedb/agent/internal/lock"
	"github.com/nodedb/nodedb/agent/internal/metastate"
	"github.com/nodedb/nodedb/agent/internal/sql/duck"
	"github.com/nodedb/nodedb/agent/internal/sql/duck/worker"
	"github.com/nodedb/nodedb/agent/internal/sql/exec"
	"github.com/nodedb/nodedb/agent/internal/storage"
	"github.com/nodedb/nodedb/agent/internal/txn"
)

func TestMain(m *testing.M) {
	if worker.Requested() {
		os.Exit(worker.Main())
	}
	goleak.VerifyTestMain(m)
}

// fakeDB is a key space in memory with versions, conditions and ranges of 64
// vshards, as kv and datastate have them.
type fakeDB struct {
	mu    sync.Mutex
	ts    hlc.Timestamp
	rows  map[string][]version // collection and key -> versions, oldest first
	wrote int                  // commands
	gets  int                  // reads by key
	sent  int                  // rows that scans gave
	// reading is how the last read was asked for.
	reading kv.Reading
	// before is called, without the lock, before a command is applied; its error is
	// the write's.
	before func(muts []kv.Mutation) error
	// span is how many vshards a range has.
	span cluster.VShard
	// places are kept; fewer tells that one has ended. The rest counts them.
	places                 map[kv.Place]bool
	fewer                  sync.Cond
	kept, inPlace, givenUp int
	locks                  fakeLocks
	meta                   *fakeMeta
	fences, readFences     fences
	closed                 map[cluster.CollectionID]hlc.Timestamp // places, and when
	raised                 []cluster.SchemaFence
	begun                  []*fakeTxn
	// unresolved has the newest version of each row be an intent of a transaction that has
	// committed: a lock FOR KEY SHARE does not see it, who reads does.
	unresolved bool
	// beforeLock is called, without the lock, before rows are locked.
	beforeLock func()
	// beforeFill is called, without the lock, before entries of rows that were there before
	// their index are written.
	beforeFill func()
	// beforeRaise is called, without the lock, before fences are raised.
	beforeRaise func()
}

type version struct {
	ts    hlc.Timestamp
	value []byte // nil: deleted
}

func newFakeDB() *fakeDB {
	f := &fakeDB{ts: hlc.New(time.Now()), rows: map[string][]version{}, span: 64, places: map[kv.Place]bool{}}
	f.locks = fakeLocks{rows: map[string][]holder{}, waits: map[uint64][]uint64{}, groups: map[uint64]*txn.Group{}, freed: make(chan struct{})}
	f.fewer.L = &f.mu
	return f
}

func fakeKey(c cluster.CollectionID, key []byte) string { return fmt.Sprintf("%d/%s", c, key) }

func (f *fakeDB) Fresh(context.Context) (hlc.Timestamp, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ts, nil
}

// PastTime is when the fake's last write was: it has no followers.
func (f *fakeDB) PastTime(*kv.Reading, cluster.PoolID, cluster.CollectionID, [][]byte) hlc.Timestamp {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ts
}

// Settle satisfies DB: no transaction of the fake stays prepared.
func (f *fakeDB) Settle(_ context.Context, refusal *metastate.Refusal) error { return refusal }

// Hold does nothing: nothing is collected.
func (f *fakeDB) Hold(hlc.Timestamp) func() { return func() {} }

func (f *fakeDB) RangeOf(_ cluster.PoolID, c cluster.CollectionID, key []byte) cluster.RangeID {
	return cluster.RangeID(2 + keys.VShardOf(c, key)/f.span)
}

func at(vs []version, ts hlc.Timestamp) version {
	var out version
	for _, v := range vs {
		if v.ts <= ts {
			out = v
		}
	}
	return out
}

func (f *fakeDB) Get(ctx context.Context, req kv.GetRequest) ([]kv.Row, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gets++
	f.reading = req.Reading
	if req.TS == 0 {
		req.TS = f.ts
	}
	if err := f.staleRead(req.Collection, req.TS, req.Schema); err != nil {
		return nil, err
	}
	out := make([]kv.Row, len(req.Keys))
	for i, k := range req.Keys {
		out[i].Key = k
		if v := at(f.rows[fakeKey(req.Collection, k)], req.TS); v.value != nil {
			out[i].Value, out[i].Version = v.value, v.ts
			if err := req.Memory.Grow(out[i].Size()); err != nil {
				return nil, err
			}
		}
	}
	return out, ctx.Err()
}

func (f *fakeDB) Scan(ctx context.Context, req kv.ScanRequest) (exec.Rows, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reading = req.Reading
	if req.TS == 0 {
		req.TS = f.ts
	}
	if err := f.staleRead(req.Collection, req.TS, req.Schema); err != nil {
		return nil, err
	}
	prefix := fakeKey(req.Collection, nil)
	var out []kv.Row
	for k, vs := range f.rows {
		key, ok := strings.CutPrefix(k, prefix)
		v := at(vs, req.TS)
		ok = ok && (req.Only == nil || keys.VShardOf(req.Collection, []byte(key)) == *req.Only)
		if ok && v.value != nil && (req.Start == nil || key >= string(req.Start)) && (req.End == nil || key < string(req.End)) {
			out = append(out, kv.Row{Key: []byte(key), Value: v.value, Version: v.ts})
		}
	}
	if req.Ordered || req.Reverse {
		slices.SortFunc(out, func(a, b kv.Row) int { return bytes.Compare(a.Key, b.Key) })
	}
	if req.Reverse {
		slices.Reverse(out)
	}
	if req.Limit > 0 && int64(len(out)) > req.Limit {
		out = out[:req.Limit]
	}
	if len(req.Program) > 0 {
		var err error
		if out, err = computed(req.Program, out); err != nil {
			return nil, &kv.ProgramError{Cause: err}
		}
	}
	return &fakeRows{db: f, rows: out}, ctx.Err()
}

// computed is what comes of rows by a program, which is asked for it after every few rows.
func computed(program []byte, rows []kv.Row) (out []kv.Row, err error) {
	p, err := exec.NewPrograms().Begin(program)
	if err != nil {
		return nil, err
	}
	flush := func() {
		p.Flush(func(key, value []byte) { out = append(out, kv.Row{Key: bytes.Clone(key), Value: bytes.Clone(value)}) })
	}
	for i, r := range rows {
		if err := p.Add(r.Key, r.Value); err != nil {
			return nil, err
		}
		if i%5 == 4 {
			flush()
		}
	}
	flush()
	return out, nil
}

type fakeRows struct {
	db   *fakeDB
	rows []kv.Row
}

func (r *fakeRows) Close() {}

func (r *fakeRows) Next(ctx context.Context) ([]kv.Row, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(r.rows) == 0 {
		return nil, io.EOF
	}
	n := min(3, len(r.rows))
	out := r.rows[:n]
	r.rows = r.rows[n:]
	r.db.mu.Lock()
	r.db.sent += n
	r.db.mu.Unlock()
	return out, nil
}

// GiveUp ends a place that Write gave. Nobody waits behind places here.
func (f *fakeDB) GiveUp(_ context.Context, p kv.Place) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p.Kept() {
		delete(f.places, p)
		f.givenUp++
		f.fewer.Broadcast()
	}
}

// waitForPlaces waits until no place is kept, and returns how many were, how many were
// gone on in, and how many given up.
func (f *fakeDB) waitForPlaces() (kept, inPlace, givenUp int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.places) > 0 {
		f.fewer.Wait()
	}
	return f.kept, f.inPlace, f.givenUp
}

func (f *fakeDB) Write(ctx context.Context, muts []kv.Mutation, o kv.WriteOptions) (hlc.Timestamp, error) {
	if f.beforeFill != nil && o.Yield && !o.OneRange { // no statement writes so
		f.beforeFill()
	}
	if f.before != nil {
		if err := f.before(muts); err != nil {
			return 0, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if o.Place.Kept() {
		f.inPlace++
		delete(f.places, o.Place)
		f.fewer.Broadcast()
	}
	ranges := map[cluster.RangeID]bool{}
	for _, m := range muts {
		ranges[f.RangeOf(m.Pool, m.Collection, m.Key)] = true
	}
	if o.OneRange && len(ranges) > 1 {
		return 0, &kv.MultiRangeError{Ranges: len(ranges)}
	}
	f.locks.next++
	for id, i := f.locks.next, 0; i < len(muts); i++ {
		if o.Yield && len(f.blockers(fakeKey(muts[i].Collection, muts[i].Key), id, lock.NoKeyUpdate)) > 0 {
			return 0, &kv.BlockedError{}
		}
		if err := f.await(ctx, fakeKey(muts[i].Collection, muts[i].Key), id, lock.NoKeyUpdate); err != nil {
			return 0, err
		}
	}
	if err := f.stale(muts); err != nil {
		return 0, err
	}
	if err := f.check(muts); err != nil {
		if o.Keep {
			m := muts[err.Mutation]
			f.kept++
			err.Place = kv.Place{Range: f.RangeOf(m.Pool, m.Collection, m.Key), By: [16]byte{byte(f.kept), byte(f.kept >> 8), 1}}
			f.places[err.Place] = true
		}
		return 0, err
	}
	return f.put(muts), nil
}

// fakeMeta is a meta range of one node: the real state machine.
type fakeMeta struct {
	t       testing.TB
	mu      sync.Mutex
	engine  *storage.Engine
	machine *metastate.Machine
	index   uint64
	// before is called, without the lock, before a command is applied.
	before func(cmd *metastate.Command)
}

func newFakeMeta(t testing.TB) *fakeMeta {
	t.Helper()
	engine, err := storage.Open(storage.Options{Dir: "meta", FS: storage.NewCrashableFS()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { engine.Close() })
	m := &fakeMeta{t: t, engine: engine, machine: metastate.New()}
	init := &metastate.InitCluster{ClusterID: "c1", Name: "test", CACert: "pem", Users: []metastate.PutUser{{Name: "alice", AdminRole: "admin"}},
		Node: cluster.Node{ID: 1, UUID: "u1", Name: "n1", Addresses: cluster.Addresses{SQL: "127.0.0.1:6432", RPC: "127.0.0.1:6433", Gossip: "127.0.0.1:6434", Admin: "127.0.0.1:6480"}, Version: "v1"}}
	init.Users = []metastate.PutUser{{Name: "alice", AdminRole: "admin"}}
	replicas := []cluster.ReplicaDescriptor{{Node: 1, Replica: 1, Role: cluster.Voter}}
	init.Ranges = append(init.Ranges, cluster.RangeDescriptor{ID: cluster.MetaRangeID, Generation: 1, NextReplica: 2, Replicas: replicas})
	for i := range cluster.VShard(16) {
		init.Ranges = append(init.Ranges, cluster.RangeDescriptor{ID: cluster.RangeID(2 + i), Start: (i * 64).Key(), End: ((i + 1) * 64).Key(), Generation: 1, NextReplica: 2, Replicas: replicas})
	}
	init.Users = []metastate.PutUser{{Name: "root", AdminRole: "admin"}, {Name: "alice"}}
	if _, err := m.Propose(context.Background(), metastate.Command{InitCluster: init}); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *fakeMeta) View() *metastate.View { return m.machine.View() }

func (m *fakeMeta) Wait(context.Context, uint64) error { return nil }

func (m *fakeMeta) Propose(_ context.Context, cmd metastate.Command) (metastate.Result, error) {
	if m.before != nil {
		m.before(&cmd)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b, err := metastate.EncodeCommand(cmd)
	if err != nil {
		return metastate.Result{}, err
	}
	m.index++
	batch := m.engine.NewBatch()
	defer batch.Close()
	out, err := m.machine.Apply(batch, nil, m.index, hlc.New(time.Now()), b)
	if err != nil {
		return metastate.Result{}, err
	}
	if err := batch.Commit(false); err != nil {
		return metastate.Result{}, err
	}
	result, err := metastate.DecodeResult(out)
	if err != nil {
		return metastate.Result{}, err
	}
	return result, result.Err()
}

type fakeViews struct {
	meta      *fakeMeta
	uncounted cluster.RangeID // one that is being counted; 0: none

	server    *Server
	elsewhere []cluster.Session // of another node
	silent    []cluster.NodeID
	txns      []cluster.Transaction
	locks     []cluster.RowLock
}

func (v fakeViews) Liveness() map[cluster.NodeID]cluster.Liveness {
	return map[cluster.NodeID]cluster.Liveness{1: cluster.Alive}
}

// Sessions are those of the one node, and what elsewhere says.
func (v fakeViews) Sessions(context.Context) ([]cluster.Session, []cluster.NodeID) {
	return append(v.server.Sessions(), v.elsewhere...), v.silent
}

func (v fakeViews) Transactions(context.Context) ([]cluster.Transaction, []cluster.NodeID) {
	return slices.Clone(v.txns), v.silent
}

func (v fakeViews) Locks(context.Context) ([]cluster.RowLock, []cluster.NodeID) {
	return v.locks, v.silent
}

func (v fakeViews) Leader(cluster.RangeID) cluster.NodeID { return 1 }
func (v fakeViews) ClusterStatus(context.Context) (map[cluster.NodeID]*cluster.NodeStatus, []cluster.NodeID) {
	st := &cluster.NodeStatus{Node: 1, Service: cluster.Ready, Version: "v1", Bytes: 1000, Sessions: 1, MetaIndex: v.meta.View().Index}
	for _, id := range v.meta.View().RangeIDs() {
		st.Ranges = append(st.Ranges, &cluster.RangeStatus{Descriptor: *v.meta.View().Ranges.Get(id), Replica: 1, Leader: 1, Term: 5, Counted: id != v.uncounted, Bytes: 10, LiveBytes: 7, DeadBytes: 3, Keys: 2, Reads: 9,
			Lease: &cluster.LeaseStatus{Lack: cluster.LeaseUnbound, Voters: []cluster.LeaseVoter{{Node: 2, Supports: true}}, Awake: "it is used", Confirmed: 3, Refused: 1}})
	}
	return map[cluster.NodeID]*cluster.NodeStatus{1: st}, nil
}

// fixture is a server over fakes.
type fixture struct {
	t      testing.TB
	server *Server
	db     *fakeDB
	meta   *fakeMeta

	coordinator *fakeCoordinator
}

func newFixture(t testing.TB, executor duck.Executor) *fixture {
	t.Helper()
	f := &fixture{t: t, db: newFakeDB(), meta: newFakeMeta(t)}
	f.db.meta = f.meta
	var err error
	f.server, err = NewServer(Config{DB: f.db, Meta: f.meta, Duck: executor, Views: fakeViews{meta: f.meta}, Node: 1, Version: "v1",
		Logger: slog.New(slog.NewTextHandler(testWriter{t}, nil))})
	if err != nil {
		t.Fatal(err)
	}
	f.server.cfg.Views = fakeViews{meta: f.meta, server: f.server}
	f.coordinator = &fakeCoordinator{f: f}
	f.server.cfg.Waiter, f.server.schemaPart = f.coordinator, 0 // each phase by itself
	f.openPublic()
	return f
}

// openPublic gives the databases to alice, who may make others, and has everybody make
// tables in the schemas public.
func (f *fixture) openPublic() {
	cmd := &metastate.ChangeObjects{}
	for _, id := range []cluster.ObjectID{cluster.MainDatabase, cluster.MainPublic, cluster.MaintenanceDatabase, cluster.MaintenancePublic} {
		o := *f.meta.View().Objects[id]
		cmd.Seen = append(cmd.Seen, metastate.SeenObject{ID: id, Version: o.Version})
		if o.Owner = "alice"; o.Kind == cluster.KindSchema {
			o.ACL = &cluster.ACL{{Grantee: "alice", Grantor: "alice", Privileges: cluster.Usage | cluster.Create}, {Grantor: "alice", Privileges: cluster.Usage | cluster.Create}}
		}
		cmd.Put = append(cmd.Put, o)
	}
	for _, c := range []metastate.Command{{By: "root", ChangeObjects: cmd}, {ChangeUser: &metastate.ChangeUser{Name: "alice", CreateDB: new(true)}}} {
		if _, err := f.meta.Propose(f.t.Context(), c); err != nil {
			f.t.Fatal(err)
		}
	}
}

// startDuck starts the slow path for a test.
func startDuck(t testing.TB) duck.Executor {
	t.Helper()
	engine, err := duck.Open(t.Context(), duck.Config{SpillDir: filepath.Join(t.TempDir(), "spill"), Logger: slog.New(slog.NewTextHandler(testWriter{t}, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(engine.Close)
	return engine
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimRight(string(p), "\n"))
	return len(p), nil
}

// snapshot returns all rows of the fake, for comparisons.
func (f *fakeDB) snapshot() map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[string]string{}
	for k := range maps.Keys(f.rows) {
		if v := at(f.rows[k], hlc.Max); v.value != nil {
			out[k] = string(v.value)
		}
	}
	return out
}
