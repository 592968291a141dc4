package agenttest

import (
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// collectsGarbage: 1,000 rows that are updated 50,000 times take the room of 1,000 rows,
// once nobody reads them any more as they were.
func (c *Cluster) collectsGarbage(writer, reader *pgx.Conn) {
	c.t.Helper()
	ctx := c.t.Context()
	run := func(conn *pgx.Conn, sql string) {
		c.t.Helper()
		if _, err := conn.Exec(ctx, sql); err != nil {
			c.t.Fatalf("%s: %v", sql, err)
		}
	}
	sum := func(want int) {
		c.t.Helper()
		var got int
		if err := reader.QueryRow(ctx, "SELECT sum(v)::int8 FROM churned").Scan(&got); err != nil || got != want {
			c.t.Fatalf("the sum is %d, want %d, %v", got, want, err)
		}
	}
	run(writer, "ALTER SYSTEM SET gc_ttl = '10s'")
	run(writer, "CREATE TABLE churned (id int8 PRIMARY KEY, v int8)")
	run(writer, "INSERT INTO churned SELECT g, 0 FROM generate_series(1, 1000) g")
	run(reader, "BEGIN ISOLATION LEVEL REPEATABLE READ")
	sum(0)
	begun := time.Now()
	for range 50 {
		run(writer, "UPDATE churned SET v = v + 1")
	}
	full := c.deadBytes()
	Eventually(c.t, time.Minute, "the snapshot is older than gc_ttl, and what it takes to collect", func() error {
		if age := time.Since(begun); age < 14*time.Second {
			return fmt.Errorf("it is %s old", age)
		}
		return nil
	})
	sum(0) // its snapshot is held
	run(reader, "COMMIT")
	sum(50_000)
	Eventually(c.t, time.Minute, "old versions are collected", func() error {
		if dead := c.deadBytes(); dead > full/50 {
			return fmt.Errorf("%v of %v bytes are dead", dead, full)
		}
		return nil
	})
	sum(50_000)
	c.t.Logf("%v dead bytes of 50,000 updates are %v", full, c.deadBytes())
	run(writer, "ALTER SYSTEM RESET gc_ttl")
}

// deadBytes is what old versions take in all ranges.
func (c *Cluster) deadBytes() (dead float64) {
	c.t.Helper()
	ranges, err := c.List("ranges")
	if err != nil {
		c.t.Fatal(err)
	}
	for _, r := range ranges {
		n, _ := r["deadBytes"].(float64)
		dead += n
	}
	return dead
}
