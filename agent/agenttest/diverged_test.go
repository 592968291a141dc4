package agenttest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nodedb/nodedb/agent/internal/cluster"
	"github.com/nodedb/nodedb/agent/internal/keys"
	"github.com/nodedb/nodedb/agent/internal/storage"
)

// flipBit changes one bit of a row that a node has stored, while it does not run, and
// returns the row's vshard.
func (n *Node) flipBit(text string) cluster.VShard {
	n.c.t.Helper()
	e, err := storage.Open(storage.Options{Dir: filepath.Join(n.Dir, "store")})
	if err != nil {
		n.c.t.Fatal(err)
	}
	key, value, err := findValue(e, []byte(text))
	if err == nil {
		value[len(value)-1] ^= 1
		b := e.NewBatch()
		err = errors.Join(b.Set(key, value), b.Commit(true), b.Close())
	}
	if err = errors.Join(err, e.Close()); err != nil {
		n.c.t.Fatal(err)
	}
	row, err := keys.DecodeRow(key[:keys.Split(key)])
	if err != nil {
		n.c.t.Fatal(err)
	}
	return row.VShard
}

// findValue returns the first version whose value ends in text.
func findValue(r storage.Reader, text []byte) (key, value []byte, err error) {
	span := keys.DataSpan(cluster.DefaultPool, cluster.VShard(0).Key(), cluster.VShard(cluster.VShards).Key())
	it, err := r.NewIter(span.Start, span.End)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		if bytes.HasSuffix(it.Value(), text) {
			return bytes.Clone(it.Key()), bytes.Clone(it.Value()), nil
		}
	}
	return nil, nil, fmt.Errorf("no row with %s", text)
}

// TestAFlippedBitIsFound flips one bit in what one node has stored. The comparison
// names the range and the node, and so do check and the events; the replica is made
// anew as docs/OPERATIONS.md says, and all hold the same again.
func TestAFlippedBitIsFound(t *testing.T) {
	t.Parallel()
	c := Start(t, Options{Ranges: 4})
	c.WaitReplicated()
	n3 := c.Node(3)
	psql(t, n3, "CREATE TABLE letters (id int8 PRIMARY KEY, text text)")
	n3.exec(40, "INSERT INTO letters VALUES (%d, 'planted')")
	if code := n3.Terminate(); code != 0 {
		t.Fatalf("the node ended with %d", code)
	}
	vshard := n3.flipBit("planted")
	n3.Start()
	c.WaitReplicated()

	damaged, other := c.rangesOf(vshard)
	if r := c.TryCtl("ranges", "verify", damaged); r.Code != 10 || !strings.Contains(r.Stdout, "n3 differs  n1,n2 hold the same") {
		t.Fatalf("the damaged range: %+v", r)
	}
	if r := c.TryCtl("ranges", "verify", other); r.Code != 0 || !strings.Contains(r.Stdout, "n1,n2,n3 hold the same") {
		t.Errorf("another range: %+v", r)
	}
	if r := c.TryCtl("ranges", "verify", "r1"); r.Code != 0 {
		t.Errorf("the meta range: %+v", r)
	}
	wantDiverged(t, c, damaged)

	Eventually(t, time.Minute, "n3 leads the range no more", func() error {
		if c.object(t, "ranges", "show", damaged)["leader"] != float64(3) {
			return nil
		}
		return fmt.Errorf("transfer: %+v", c.TryCtl("ranges", "transfer", damaged, "--to", "n1", "--yes"))
	})
	n3.Terminate()
	if r := n3.reset(); r.Code != 0 {
		t.Fatalf("reset: %+v", r)
	}
	n3.Start()
	c.WaitReplicated()
	Eventually(t, time.Minute, "all hold the same again", func() error {
		if r := c.TryCtl("ranges", "verify", damaged); r.Code != 0 {
			return fmt.Errorf("verify: %+v", r)
		}
		if r := c.TryCtl("check"); strings.Contains(r.Stdout, "error   REPLICA_DIVERGED") || strings.Contains(r.Stdout, damaged+" on n3 holds") {
			return fmt.Errorf("check: %s", r.Stdout)
		}
		return nil
	})
	c.aBlockRots(t)
}

// rot flips a bit of the block in which a node that does not run has stored a row with a
// text, and returns the row's vshard. All else that the store holds beside rows can
// still be read.
func (n *Node) rot(text string) cluster.VShard {
	n.c.t.Helper()
	dir := filepath.Join(n.Dir, "store")
	e, err := storage.Open(storage.Options{Dir: dir})
	if err != nil {
		n.c.t.Fatal(err)
	}
	key, _, err := findValue(e, []byte(text))
	if err = errors.Join(err, e.Flush(), e.Close()); err != nil {
		n.c.t.Fatal(err)
	}
	row, err := keys.DecodeRow(key[:keys.Split(key)])
	if err != nil {
		n.c.t.Fatal(err)
	}
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil {
		n.c.t.Fatal(err)
	}
	const step = 4 << 10 // a compressed block is larger
	for _, path := range tables {
		b, err := os.ReadFile(path) //nolint:gosec // of this test
		if err != nil {
			n.c.t.Fatal(err)
		}
		for at := len(b) - step; at > 0; at -= step { // blocks are compressed: where is it?
			b[at] ^= 0x20
			n.overwrite(path, b)
			if !reads(dir, keys.Span{Start: key, End: append(bytes.Clone(key), 0)}) && reads(dir, keys.Span{Start: []byte{0}, End: keys.AllData().Start}) {
				return row.VShard
			}
			b[at] ^= 0x20
		}
		n.overwrite(path, b)
	}
	n.c.t.Fatalf("no bit of %v makes %q unreadable alone", tables, text)
	return 0
}

func (n *Node) overwrite(path string, b []byte) {
	n.c.t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		n.c.t.Fatal(err)
	}
}

// reads reports whether all of a span can be read from a store that nobody has open.
func reads(dir string, span keys.Span) bool {
	e, err := storage.Open(storage.Options{Dir: dir, ReadOnly: true})
	if err != nil {
		return false
	}
	it, err := e.NewIter(span.Start, span.End)
	if err == nil {
		for ok := it.First(); ok; {
			ok = it.Next()
		}
		err = errors.Join(it.Err(), it.Close())
	}
	return errors.Join(err, e.Close()) == nil
}

// aBlockRots has the disk of a leader not give back a block: its rows are read
// nevertheless, another node leads, and the replica is made anew.
func (c *Cluster) aBlockRots(t *testing.T) {
	t.Helper()
	n3 := c.Node(3)
	const marker = "rotten-block"
	// Blocks of their own: what the store keeps for itself is not to rot.
	filler := make([]byte, 1500)
	for i := range 100 {
		_, _ = rand.NewChaCha8([32]byte{byte(i)}).Read(filler)
		n3.exec(1, fmt.Sprintf("INSERT INTO letters VALUES (%%d + %d, '%x')", 1000+i, filler))
	}
	n3.exec(1, "INSERT INTO letters VALUES (%d + 2000, '"+fmt.Sprintf("%x", filler)+marker+"')")
	c.WaitReplicated()
	if code := n3.Terminate(); code != 0 {
		t.Fatalf("the node ended with %d", code)
	}
	damaged, _ := c.rangesOf(n3.rot(marker))
	n3.Start()
	c.WaitReplicated()
	Eventually(t, time.Minute, "n3 leads the range", func() error {
		if r := c.TryCtl("ranges", "transfer", damaged, "--to", "n3", "--yes"); r.Code != 0 {
			return fmt.Errorf("transfer: %+v", r)
		}
		return nil
	})
	for _, n := range c.Nodes() {
		if got := psql(t, n, "SELECT count(*) FROM letters"); got != "141" {
			t.Errorf("%s counts %s rows", n.Name, got)
		}
		if got := psql(t, n, "SELECT right(text, 12) FROM letters WHERE id = 2000"); got != marker {
			t.Errorf("%s reads %q", n.Name, got)
		}
	}
	Eventually(t, time.Minute, "the damage told, and the replica made anew", func() error {
		if r := c.TryCtl("events", "--kind", "replica"); !strings.Contains(r.Stdout, "the replica of "+damaged+" on n3 has failed") {
			return fmt.Errorf("events: %+v", r)
		}
		if r := c.TryCtl("check"); strings.Contains(r.Stdout, "REPLICA_FAILED  ") && strings.Contains(r.Stdout, damaged+" on n3 has failed") {
			return fmt.Errorf("check: %s", r.Stdout)
		}
		if r := c.TryCtl("ranges", "verify", damaged); r.Code != 0 || !strings.Contains(r.Stdout, "n1,n2,n3 hold the same") {
			return fmt.Errorf("verify: %+v", r)
		}
		return nil
	})
}

// wantDiverged wants everybody to hear of n3's replica of a range.
func wantDiverged(t *testing.T, c *Cluster, damaged string) {
	t.Helper()
	Eventually(t, time.Minute, "the divergence told", func() error {
		r := c.TryCtl("check")
		if r.Code != 10 || !strings.Contains(r.Stdout, "REPLICA_DIVERGED") || !strings.Contains(r.Stdout, "the replica of "+damaged+" on n3 holds something else") {
			return fmt.Errorf("check: %+v", r)
		}
		if r = c.TryCtl("events", "--kind", "range"); !strings.Contains(r.Stdout, "range.diverged") {
			return fmt.Errorf("events: %+v", r)
		}
		if r = c.TryCtl("ranges", "show", damaged); !strings.Contains(r.Stdout, "compared n3 differs") {
			return fmt.Errorf("ranges show: %+v", r)
		}
		for _, n := range c.Nodes() {
			if _, body, err := n.HTTP("/metrics"); err == nil && strings.Contains(body, "nodedb_ranges_diverged_count 1") {
				return nil
			}
		}
		return errors.New("no node has the metric")
	})
}

// rangesOf returns the range that owns a vshard, and one that does not.
func (c *Cluster) rangesOf(v cluster.VShard) (owner, other string) {
	c.t.Helper()
	ranges, err := c.List("ranges")
	if err != nil {
		c.t.Fatal(err)
	}
	for _, r := range ranges {
		start, end := r["start"].(float64), r["end"].(float64) //nolint:forcetypeassert // a panic fails the test
		switch name, _ := r["name"].(string); {
		case r["metaRange"] == true:
		case start <= float64(v) && float64(v) < end:
			owner = name
		default:
			other = name
		}
	}
	return owner, other
}
