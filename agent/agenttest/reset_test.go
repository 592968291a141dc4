package agenttest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// reset runs nodedb-agent reset for a node.
func (n *Node) reset() Result {
	n.c.t.Helper()
	return n.c.try(n.c.bin.Agent, "reset", "--data-dir", n.Dir)
}

// rows counts the rows of filler, asked of a node.
func (n *Node) rows() int {
	n.c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := n.Connect(ctx)
	if err != nil {
		n.c.t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	var count int
	if err := conn.QueryRow(ctx, "SELECT count(*) FROM filler").Scan(&count); err != nil {
		n.c.t.Fatal(err)
	}
	return count
}

// exec runs a statement for each number below count.
func (n *Node) exec(count int, statement string) {
	n.c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := n.Connect(ctx)
	if err != nil {
		n.c.t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	for i := range count {
		if _, err := conn.Exec(ctx, fmt.Sprintf(statement, i)); err != nil {
			n.c.t.Fatal(err)
		}
	}
}

// damageLog flips bytes of what was synced to the newest write-ahead log.
func (n *Node) damageLog() {
	n.c.t.Helper()
	damaged, err := storage.DamageLog(nil, filepath.Join(n.Dir, "store"), rand.New(rand.NewPCG(1, 1)))
	if err != nil || !damaged {
		n.c.t.Fatalf("damage the log of %s: %v %v", n.Name, damaged, err)
	}
}

// TestALostStoreIsReset damages the live log of one node and deletes the store of
// the next: both are refused, emptied, and whole again, under their identities.
func TestALostStoreIsReset(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Ranges: 8})
	c.fill(2000)
	n2, n3 := c.Node(2), c.Node(3)
	n3.exec(50, "UPDATE filler SET t = 'small' WHERE id = %d") // the newest log has much that was synced
	if r := n3.reset(); r.Code != 73 || !strings.Contains(r.Stderr, "in use") {
		t.Errorf("while the node runs: %+v", r)
	}
	n3.Kill()
	n3.damageLog()
	n3.StartUnready()
	if code := n3.WaitExit(time.Minute); code != 74 || !strings.Contains(n3.LogTail(5), "nodedb-agent reset") {
		t.Errorf("a damaged log: exit %d\n%s", code, n3.LogTail(5))
	}
	if r := c.TryCtl("debug", "local", "--data-dir", n3.Dir); !strings.Contains(r.Stdout+r.Stderr, "lost what it had synced") {
		t.Errorf("debug local says nothing of the damage: %+v", r)
	}
	n2.Kill()
	before := snapshotOf(t, n3.Dir)
	if r := n3.reset(); r.Code == 0 || !strings.Contains(r.Stderr, "quorum") {
		t.Errorf("while two of three are down: %+v", r)
	}
	if after := snapshotOf(t, n3.Dir); after != before {
		t.Errorf("a refused reset changed the directory:\n%s\n%s", before, after)
	}
	n2.Start()
	for _, n := range []*Node{n3, n2} {
		if n == n2 {
			n.Kill()
			if err := os.RemoveAll(filepath.Join(n.Dir, "store")); err != nil {
				t.Fatal(err)
			}
			n.StartUnready()
			if code := n.WaitExit(time.Minute); code != 74 {
				t.Errorf("a deleted store: exit %d\n%s", code, n.LogTail(5))
			}
		}
		if r := n.reset(); r.Code != 0 {
			t.Fatalf("reset of %s: %+v", n.Name, r)
		}
		if r := n.reset(); r.Code != 0 {
			t.Fatalf("reset of %s, again: %+v", n.Name, r)
		}
		n.Start()
		c.awaitHome(n)
		if got := n.rows(); got != 2000 {
			t.Errorf("%d rows after the reset of %s, want 2000", got, n.Name)
		}
	}
	if out := c.Ctl("events", "--since", "1h"); !strings.Contains(out, "node.reset") {
		t.Errorf("no event tells of the resets:\n%s", out)
	}
}

// TestAnOldCopyIsReset: the right disk is gone for good, and what is left of it is
// a copy from before its last start. Emptied, it is welcome; the right disk is not
// any more.
func TestAnOldCopyIsReset(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Ranges: 4})
	c.fill(300)
	n3 := c.Node(3)
	n3.Kill()
	old := c.clone(n3).Dir
	n3.Start()
	n3.exec(20, "UPDATE filler SET t = 'small' WHERE id = %d")
	n3.Kill()
	right := c.swap(n3, old)
	wantLost(t, n3)
	if r := n3.reset(); r.Code != 0 {
		t.Fatalf("reset: %+v", r)
	}
	n3.Start()
	c.awaitHome(n3)
	if got := n3.rows(); got != 300 {
		t.Errorf("%d rows after the reset, want 300", got)
	}
	n3.Kill()
	c.swap(n3, right)
	n3.StartUnready()
	if code := n3.WaitExit(time.Minute); code != 74 && code != 78 {
		t.Errorf("the disk that was given up: exit %d\n%s", code, n3.LogTail(5))
	}
}

// snapshotOf lists what a data directory holds of the store and the identity.
func snapshotOf(t *testing.T, dir string) string {
	t.Helper()
	var out strings.Builder
	for _, name := range []string{"identity.json", "store"} {
		err := filepath.Walk(filepath.Join(dir, name), func(path string, info os.FileInfo, err error) error {
			if err == nil && !info.IsDir() {
				fmt.Fprintln(&out, path, info.Size(), info.ModTime())
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

// awaitHome waits until a node holds a voter of every range again.
func (c *Cluster) awaitHome(n *Node) {
	c.t.Helper()
	Eventually(c.t, 2*time.Minute, n.Name+" holds every range", func() error {
		ranges, err := c.List("ranges")
		if err != nil {
			return err
		}
		for _, r := range ranges {
			if r["state"] != "healthy" {
				return fmt.Errorf("range %v is %v", r["id"], r["state"])
			}
			voters, _ := r["replicas"].([]any)
			if len(voters) != 3 {
				return fmt.Errorf("range %v has %d replicas", r["id"], len(voters))
			}
		}
		return nil
	})
}

// TestAStoppedReplicaIsMadeAnew has a data range's and the meta range's replica
// of a node stop for good, as those do whose log lost what they acknowledged.
func TestAStoppedReplicaIsMadeAnew(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Ranges: 4})
	c.fill(500)
	n3 := c.Node(3)
	n3.Kill()
	e, err := storage.Open(storage.Options{Dir: filepath.Join(n3.Dir, "store")})
	if err != nil {
		t.Fatal(err)
	}
	lost := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64([]byte{1}, 1000), 900)
	b := e.NewBatch()
	if err := errors.Join(b.Set(keys.RaftLost(1), lost), b.Set(keys.RaftLost(2), lost), b.Commit(true), b.Close(), e.Close()); err != nil {
		t.Fatal(err)
	}
	n3.Start()
	c.awaitHome(n3)
	Eventually(t, time.Minute, "the events tell of both", func() error {
		out := c.TryCtl("events", "--since", "1h", "-o", "json").Stdout
		if n := strings.Count(out, "lost entries that it had acknowledged"); n != 2 {
			return fmt.Errorf("%d of them", n)
		}
		return nil
	})
	if r := c.TryCtl("check"); strings.Contains(r.Stdout, "has stopped") {
		t.Errorf("check still names a stopped replica:\n%s", r.Stdout)
	}
	if got := n3.rows(); got != 500 {
		t.Errorf("%d rows, want 500", got)
	}
}
