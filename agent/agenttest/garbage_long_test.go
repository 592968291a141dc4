//go:build long

package agenttest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// updates is how often TestAMillionUpdates updates its 1,000 rows.
var updates = flag.Int("updates", 1000, "how often TestAMillionUpdates updates its 1,000 rows")

// TestAMillionUpdates of 1,000 rows take the disk of the updates of some minutes, and a
// start reads no more than that.
func TestAMillionUpdates(t *testing.T) {
	c := Start(t, Options{Ranges: 4})
	c.sql("ALTER SYSTEM SET gc_ttl = '1m'")
	c.sql("CREATE TABLE churned (id int8 PRIMARY KEY, v int8)")
	c.sql("INSERT INTO churned SELECT g, 0 FROM generate_series(1, 1000) g")
	begun, most, files := time.Now(), 0.0, int64(0)
	for i := range *updates {
		// On a machine that is busy with other things a statement may find no leader in time.
		Eventually(t, StartTimeout, "the rows are updated", func() error {
			if r := c.TryCtl("sql", "-e", "UPDATE churned SET v = v + 1"); r.Code == 9 {
				return fmt.Errorf("%s", r.Stderr)
			} else if r.Code != 0 {
				t.Fatalf("exit %d: %s", r.Code, r.Stderr)
			}
			return nil
		})
		if i%20 == 0 {
			most, files = max(most, c.deadBytes()), max(files, slices.Max(c.tableBytes()))
		}
	}
	took := time.Since(begun)
	t.Logf("%d updates of 1,000 rows in %s: at most %.0f bytes were dead at once, %.0f are; tables of a node took %d at most", *updates, took.Round(time.Second), most, c.deadBytes(), files)
	Eventually(t, 5*time.Minute, "old versions are collected", func() error {
		if dead := c.deadBytes(); dead > most/50 {
			return fmt.Errorf("%.0f bytes are dead, of %.0f", dead, most)
		}
		return nil
	})
	c.shrinks(files / 4)
	for _, n := range c.Nodes() {
		n.Kill()
		n.Start()
		c.WaitReplicated()
		Eventually(t, StartTimeout, "the rows are read", func() error {
			if got := psql(t, n, "SELECT sum(v) FROM churned"); got != fmt.Sprint(*updates*1000) {
				return fmt.Errorf("%s has the sum %s after a restart", n.Name, got)
			}
			return nil
		})
		c.readsLittle(n)
	}
}

// tableBytes is what the tables of each node's store take.
func (c *Cluster) tableBytes() (out []int64) {
	c.t.Helper()
	for _, n := range c.Nodes() {
		tables, err := filepath.Glob(filepath.Join(n.Dir, "store", "*.sst"))
		if err != nil {
			c.t.Fatal(err)
		}
		var size int64
		for _, name := range tables {
			if info, err := os.Stat(name); err == nil { // they come and go
				size += info.Size()
			}
		}
		out = append(out, size)
	}
	return out
}

// shrinks waits until the tables of no node take more than so many bytes.
func (c *Cluster) shrinks(most int64) {
	c.t.Helper()
	Eventually(c.t, 3*time.Minute, "the files shrink", func() error {
		if now := c.tableBytes(); slices.Max(now) > most {
			return fmt.Errorf("the nodes' tables take %d bytes, want %d at most", now, most)
		}
		return nil
	})
}

// logToRead is the most that a start reads of its store's log: what fits into the
// engine's memory before a table is made of it, and what comes while that is done.
const logToRead = 2 * 32 << 20

// readsLittle holds that the last start of a node has read no more of its log.
func (c *Cluster) readsLittle(n *Node) {
	c.t.Helper()
	_, metrics, err := n.HTTP("/metrics")
	if err != nil {
		c.t.Fatal(err)
	}
	read := -1.0
	for line := range strings.Lines(metrics) {
		if v, ok := strings.CutPrefix(line, "nodedb_store_start_log_bytes "); ok {
			read, err = strconv.ParseFloat(strings.TrimSpace(v), 64)
		}
	}
	if err != nil || read < 0 || read > logToRead {
		c.t.Errorf("the start of %s has read %.0f bytes of its log: %v, want %d at most", n.Name, read, err, logToRead)
	}
	c.t.Logf("the start of %s has read %.0f bytes of its log", n.Name, read)
}
