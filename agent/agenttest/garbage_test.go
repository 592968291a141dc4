package agenttest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// collectsGarbage: 1,000 rows that are updated 50,000 times take the room of 1,000 rows,
// once nobody reads them any more as they were, and a table that was dropped takes none.
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
	freed := c.dropsTable(writer)
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
	if left := c.dropped(writer); !strings.Contains(left, "gone (0 of ") {
		c.t.Errorf("waits to be cleared while somebody reads as of before: %q", left)
	}
	c.agedGarbage(10 * time.Second)
	run(reader, "COMMIT")
	sum(50_000)
	freed()
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

// dropsTable makes a table of 4 MB and drops it. What it returns waits until its room is
// free, and everybody says so.
func (c *Cluster) dropsTable(writer *pgx.Conn) (freed func()) {
	c.t.Helper()
	for _, sql := range []string{
		"CREATE TABLE gone (id int8 PRIMARY KEY, v text)",
		"INSERT INTO gone SELECT g, repeat('x', 1000) FROM generate_series(1, 4000) g",
	} {
		if _, err := writer.Exec(c.t.Context(), sql); err != nil {
			c.t.Fatalf("%s: %v", sql, err)
		}
	}
	const size = 4_000_000
	full := 0.0
	Eventually(c.t, 20*time.Second, "the table is counted", func() error {
		if full = c.bytes(); full < size {
			return fmt.Errorf("all ranges have %v bytes", full)
		}
		return nil
	})
	if _, err := writer.Exec(c.t.Context(), "DROP TABLE gone"); err != nil {
		c.t.Fatal(err)
	}
	return func() {
		c.t.Helper()
		Eventually(c.t, 3*time.Minute, "a dropped table is cleared", func() error {
			if left := c.dropped(writer); left != "" {
				return fmt.Errorf("%s: waits to be cleared", left)
			}
			if now := c.bytes(); now > full-size*3/4 { // what was updated meanwhile goes, too
				return fmt.Errorf("%v bytes of all ranges are %v", full, now)
			}
			return nil
		})
		var events int
		if err := writer.QueryRow(c.t.Context(), "SELECT count(*) FROM nodedb_internal.events WHERE kind = 'collection.freed' AND text LIKE '%collection \"gone\"%'").Scan(&events); err != nil || events != 1 {
			c.t.Errorf("%d events say that the table is cleared, %v", events, err)
		}
		c.t.Logf("%v bytes of all ranges are %v after a table of %v was dropped", full, c.bytes(), size)
	}
}

// dropped names the dropped collections that are not cleared yet.
func (c *Cluster) dropped(conn *pgx.Conn) (left string) {
	c.t.Helper()
	const query = "SELECT coalesce(string_agg(format('%s (%s of %s ranges)', name, cleared, ranges), ', '), '') FROM nodedb_internal.dropped_collections"
	if err := conn.QueryRow(c.t.Context(), query).Scan(&left); err != nil {
		c.t.Fatal(err)
	}
	return left
}

// bytes is what all ranges hold.
func (c *Cluster) bytes() float64 { return c.sumOf("bytes") }

// agedGarbage waits until an operator sees garbage that is older than so much.
func (c *Cluster) agedGarbage(age time.Duration) {
	c.t.Helper()
	Eventually(c.t, 20*time.Second, "the age of garbage", func() error {
		ranges, err := c.List("ranges")
		for _, r := range ranges {
			at, isTime := r["collected"].(string)
			dead, _ := r["deadBytes"].(float64)
			if collected, err := time.Parse(time.RFC3339Nano, at); isTime && dead > 0 && err == nil && time.Since(collected) > age {
				return nil
			}
		}
		return errors.Join(err, fmt.Errorf("no range has garbage older than %s: %v", age, ranges))
	})
}

// deadBytes is what old versions take in all ranges.
func (c *Cluster) deadBytes() float64 { return c.sumOf("deadBytes") }

func (c *Cluster) sumOf(field string) (sum float64) {
	c.t.Helper()
	ranges, err := c.List("ranges")
	if err != nil {
		c.t.Fatal(err)
	}
	for _, r := range ranges {
		n, _ := r[field].(float64)
		sum += n
	}
	return sum
}
