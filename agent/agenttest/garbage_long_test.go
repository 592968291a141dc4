//go:build long

package agenttest

import (
	"fmt"
	"testing"
	"time"
)

// TestAMillionUpdates of 1,000 rows take the disk of the updates of some minutes, and a
// start reads no more than that.
func TestAMillionUpdates(t *testing.T) {
	c := Start(t, Options{Ranges: 4})
	c.sql("ALTER SYSTEM SET gc_ttl = '1m'")
	c.sql("CREATE TABLE churned (id int8 PRIMARY KEY, v int8)")
	c.sql("INSERT INTO churned SELECT g, 0 FROM generate_series(1, 1000) g")
	begun, most := time.Now(), 0.0
	for i := range 1000 {
		c.sql("UPDATE churned SET v = v + 1")
		if i%20 == 0 {
			most = max(most, c.deadBytes())
		}
	}
	took := time.Since(begun)
	t.Logf("1,000,000 updates in %s: at most %.0f bytes were dead at once, %.0f are", took.Round(time.Second), most, c.deadBytes())
	Eventually(t, 5*time.Minute, "old versions are collected", func() error {
		if dead := c.deadBytes(); dead > most/50 {
			return fmt.Errorf("%.0f bytes are dead, of %.0f", dead, most)
		}
		return nil
	})
	for _, n := range c.Nodes() {
		n.Kill()
		n.Start()
		c.WaitReplicated()
		if got := psql(t, n, "SELECT sum(v) FROM churned"); got != "1000000" {
			t.Errorf("%s has the sum %s after a restart", n.Name, got)
		}
	}
}
