package agenttest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// swap puts another directory in the place of a node's that is down, and returns
// where the one that was there is now.
func (c *Cluster) swap(n *Node, dir string) (before string) {
	c.t.Helper()
	before = filepath.Join(c.t.TempDir(), n.Name)
	if err := errors.Join(os.Rename(n.Dir, before), os.Rename(dir, n.Dir)); err != nil {
		c.t.Fatal(err)
	}
	return before
}

// insert writes count rows of t from first on, one by one, through a node.
func insert(t *testing.T, n *Node, first, count int) {
	t.Helper()
	for i := range count {
		Eventually(t, 30*time.Second, "row acknowledged", func() error { return n.write(first + i) })
	}
}

func (n *Node) write(id int) error {
	ctx, cancel := context.WithTimeout(context.Background(), 12*time.Second)
	defer cancel()
	conn, err := n.Connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, "INSERT INTO t VALUES ($1) ON CONFLICT DO NOTHING", id)
	return err
}

func (n *Node) count(from int) (count int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 12*time.Second)
	defer cancel()
	conn, err := n.Connect(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { _ = conn.Close(ctx) }()
	err = conn.QueryRow(ctx, "SELECT count(*) FROM t WHERE id >= $1", pgx.QueryExecModeSimpleProtocol, from).Scan(&count)
	return count, err
}

func wantRows(t *testing.T, n *Node, from, want int) {
	t.Helper()
	Eventually(t, 30*time.Second, "rows counted", func() error {
		got, err := n.count(from)
		if err == nil && got != want {
			t.Fatalf("%d rows from %d on, %d were acknowledged", got, from, want)
		}
		return err
	})
}

// wantLost starts a node whose disk went back and wants it to end before any
// replica of it has led.
func wantLost(t *testing.T, n *Node) {
	t.Helper()
	if err := os.Remove(n.logPath()); err != nil {
		t.Fatal(err)
	}
	n.StartUnready()
	code := n.WaitExit(60 * time.Second)
	log := n.LogTail(10000)
	if code != 74 || !strings.Contains(log, "the store lost what it had synced") || !strings.Contains(log, "nodedb-agent reset --data-dir "+n.Dir) {
		t.Fatalf("a disk that went back: exit %d, want 74\n%s", code, log)
	}
	if strings.Contains(log, "msg=leadership") || strings.Contains(log, "replica has stopped") {
		t.Errorf("replicas took part before the node was refused:\n%s", log)
	}
}

// wantNamed wants that the cluster knows of a node that was refused, and of what
// to do.
func wantNamed(t *testing.T, c *Cluster, n *Node) {
	t.Helper()
	Eventually(t, 30*time.Second, "check names the node", func() error {
		r := c.TryCtl("check")
		if r.Code != 10 || !strings.Contains(r.Stdout, "STORE_BEHIND") || !strings.Contains(r.Stdout, n.Name+" was refused") {
			return fmt.Errorf("exit %d\n%s%s", r.Code, r.Stdout, r.Stderr)
		}
		return nil
	})
	if events := c.Ctl("events"); !strings.Contains(events, "store.behind") {
		t.Errorf("the event log says nothing of it:\n%s", events)
	}
}

// TestAStaleDiskIsFoundBeforeItVotes: a copy of n3's directory would elect n2,
// which lags, and undo what n1 and n3 have acknowledged.
func TestAStaleDiskIsFoundBeforeItVotes(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Ranges: 4})
	n1, n2, n3 := c.Node(1), c.Node(2), c.Node(3)
	psql(t, n1, "CREATE COLLECTION t (id int8 PRIMARY KEY)")
	c.Ctl("rebalance", "policy", "off")
	n3.Kill()
	stale := c.clone(n3).Dir
	n3.Start()
	n2.Signal(syscall.SIGSTOP)
	insert(t, n1, 100, 20)
	n1.Kill()
	n3.Kill()
	good := c.swap(n3, stale)
	n2.Signal(syscall.SIGCONT)
	wantLost(t, n3)
	n1.Start()
	wantNamed(t, c, n3)
	wantRows(t, n1, 100, 20)
	c.swap(n3, good)
	n3.Start()
	wantRows(t, n3, 100, 20)
	c.WaitReplicated()

	// The copy of a stop that was clean is no better.
	if code := n3.Terminate(); code != 0 {
		t.Fatalf("n3 stops with %d", code)
	}
	clean := c.clone(n3)
	n3.Start()
	insert(t, n1, 200, 3)
	n3.Kill()
	good = c.swap(n3, clean.Dir)
	wantLost(t, n3)
	wantNamed(t, c, n3)
	c.swap(n3, good)
	n3.Start()
	c.WaitReplicated()
	if r := c.TryCtl("check"); strings.Contains(r.Stdout, "was refused") {
		t.Errorf("check still speaks of the disk that is gone:\n%s", r.Stdout)
	}
	wantRows(t, n3, 100, 23)
}

// TestHonestDisksReturnAtOnce: all nodes killed and started again find nothing
// newer; two serve without the third; one alone says whom it waits for.
func TestHonestDisksReturnAtOnce(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Ranges: 4})
	psql(t, c.Node(1), "CREATE COLLECTION t (id int8 PRIMARY KEY)")
	insert(t, c.Node(2), 1, 5)
	for _, n := range c.Nodes() {
		n.Kill()
	}
	c.Node(1).StartUnready()
	Eventually(t, 30*time.Second, "n1 says whom it waits for", func() error {
		_, body, err := c.Node(1).HTTP("/health")
		if err == nil && (!strings.Contains(body, "asking-peers") || !strings.Contains(body, "n2, n3")) {
			err = errors.New(body)
		}
		return err
	})
	c.Node(2).StartUnready()
	c.Node(1).WaitReady()
	c.Node(2).WaitReady()
	wantRows(t, c.Node(1), 1, 5)
	c.Node(3).Start()
	wantRows(t, c.Node(3), 1, 5)
	c.WaitReplicated()
}
