package agent

import (
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/replica"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

func TestDebugLocal(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "n1")
	cfg := DefaultConfig(dir)
	if _, err := DebugLocal(dir); err == nil {
		t.Error("a directory without a node: no error")
	}
	if _, err := Init(cfg, InitOptions{Name: "n1", ClusterName: "test", Ranges: 2, Replicas: 1}); err != nil {
		t.Fatal(err)
	}
	r, err := DebugLocal(dir)
	if err != nil || r.Name != "n1" || r.Node != 1 || len(r.Problems) != 1 || !strings.Contains(r.Problems[0], "no store") {
		t.Errorf("before the first start: got %+v %v", r, err)
	}
	if _, err := os.Stat(storePath(dir)); err == nil {
		t.Error("looking made a store")
	}
	plantStore(t, dir, r.UUID)
	r, err = DebugLocal(dir)
	if err != nil || len(r.Problems) != 0 || r.StoreOwner == nil || *r.StoreOwner != r.UUID || len(r.Ranges) != 1 {
		t.Fatalf("got %+v %v, want one range and no problem", r, err)
	}
	if got := r.Ranges[0]; got.ID != 7 || got.End != 64 || got.Applied != 10 || got.Replica != 1 || !got.HasState || got.LastIndex != 10 || got.Voters[0] != 1 {
		t.Errorf("got %+v", got)
	}
	lock, err := lockDir(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.release()
	var exit *ExitError
	if _, err := DebugLocal(dir); !errors.As(err, &exit) || exit.Code != ExitDataDir || !strings.Contains(exit.Message, "a node runs") {
		t.Errorf("while a node runs: got %v, want exit 73", err)
	}
}

// TestDamagedStore wants damage in what was synced found by a start and by a
// look, each with the way out.
func TestDamagedStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "n1")
	cfg := DefaultConfig(dir)
	if _, err := Init(cfg, InitOptions{Name: "n1", ClusterName: "test", Ranges: 2, Replicas: 1}); err != nil {
		t.Fatal(err)
	}
	plantStore(t, dir, "u")
	logs, err := filepath.Glob(filepath.Join(storePath(dir), "*.log"))
	if err != nil || len(logs) != 1 {
		t.Fatalf("got %v %v, want one log", logs, err)
	}
	b, err := os.ReadFile(logs[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(logs[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := DebugLocal(dir)
	if err != nil || len(r.Problems) != 1 || !strings.Contains(r.Problems[0], "lost what it had synced") || !strings.Contains(r.Problems[0], "nodedb-agent reset") {
		t.Errorf("got %+v %v, want the problem and its way out", r, err)
	}
	n := &Node{cfg: cfg, logger: slog.New(slog.DiscardHandler), usage: &usage{dir: dir}}
	if err := n.openVersions(); err != nil {
		t.Fatal(err)
	}
	var exit *ExitError
	if _, err := n.openStorage(); !errors.As(err, &exit) || exit.Code != ExitStoreLost {
		t.Errorf("got %v, want exit %d", err, ExitStoreLost)
	}
}

// plantStore writes what a node with one replica has on disk.
func plantStore(t *testing.T, dir, uuid string) {
	t.Helper()
	engine, err := storage.Open(storage.Options{Dir: storePath(dir)})
	if err != nil {
		t.Fatal(err)
	}
	b := engine.NewBatch()
	d := &cluster.RangeDescriptor{ID: 7, Start: cluster.VShard(0).Key(), End: cluster.VShard(64).Key(), Generation: 1, NextReplica: 2, Replicas: []cluster.ReplicaDescriptor{{Node: 1, Replica: 1, Role: cluster.Voter}}}
	ident, err := json.Marshal(storeIdent{Format: identityFormat, Node: 1, UUID: uuid})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(replica.WriteBootstrap(b, 1, d), b.Set(keys.StoreIdent(), ident), b.Commit(true), b.Close(), engine.Close()); err != nil {
		t.Fatal(err)
	}
}
