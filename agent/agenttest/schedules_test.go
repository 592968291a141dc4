package agenttest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// scheduleLine is a line of SHOW SCHEDULE HISTORY.
type scheduleLine struct {
	run, missed int64
	due         time.Time
	state, node string
}

// scheduleHistory asks any node, oldest first.
func scheduleHistory(t *testing.T, c *Cluster) []scheduleLine {
	t.Helper()
	var out []scheduleLine
	Eventually(t, 60*time.Second, "the history", func() error {
		out = nil
		err := errors.New("no node runs")
		for _, n := range c.Nodes() {
			if !n.Running() {
				continue
			}
			if out, err = historyFrom(t, n); err == nil {
				return nil
			}
		}
		return err
	})
	return out
}

func historyFrom(t *testing.T, n *Node) ([]scheduleLine, error) {
	conn, err := n.Connect(t.Context())
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close(t.Context()) }()
	rows, err := conn.Query(t.Context(), "SHOW SCHEDULE HISTORY FOR tick")
	if err != nil {
		return nil, err
	}
	var out []scheduleLine
	for rows.Next() {
		v, err := rows.Values()
		if err != nil {
			return nil, err
		}
		line := scheduleLine{run: v[2].(int64), due: v[3].(time.Time), state: v[4].(string), missed: v[10].(int64)}
		line.node, _ = v[5].(string)
		out = append([]scheduleLine{line}, out...)
	}
	return out, rows.Err()
}

// TestSchedulesOutliveTheirCoordinators kills the node that runs a schedule in the middle of
// a run, again and again. Each second is in the history once, and the rows of a run are
// there, all of them, if and only if the history says that it succeeded.
func TestSchedulesOutliveTheirCoordinators(t *testing.T) {
	t.Parallel()
	const rounds, filler = 4, 400
	c := Start(t, Options{Ranges: 8})
	c.WaitReplicated()
	psql(t, c.Node(1), "CREATE TABLE ticks (due timestamptz PRIMARY KEY, made timestamptz)")
	psql(t, c.Node(1), "CREATE TABLE filler (due timestamptz, n int8, PRIMARY KEY (due, n))")
	psql(t, c.Node(1), fmt.Sprintf(`CREATE SCHEDULE tick CRON '* * * * * *' AS $$
		INSERT INTO filler SELECT current_setting('schedule.due')::timestamptz, g FROM generate_series(1, %d) g;
		INSERT INTO ticks VALUES (current_setting('schedule.due')::timestamptz, now())$$`, filler))
	for round := range rounds {
		from := int64(0)
		if h := scheduleHistory(t, c); len(h) > 0 {
			from = h[len(h)-1].run
		}
		var running string
		Eventually(t, 60*time.Second, "two runs and one that runs", func() error {
			h := scheduleHistory(t, c)
			if len(h) > 0 && h[len(h)-1].state == "running" && h[len(h)-1].run > from+2 {
				running = h[len(h)-1].node
				return nil
			}
			return fmt.Errorf("%+v", h)
		})
		for _, n := range c.Nodes() {
			if n.Name == running {
				t.Logf("round %d: kill -9 %s", round, n.Name)
				n.Kill()
				n.Start()
			}
		}
	}
	c.WaitReplicated()
	psql(t, c.Node(1), "ALTER SCHEDULE tick DISABLE")
	var history []scheduleLine
	Eventually(t, 120*time.Second, "nothing runs", func() error {
		history = scheduleHistory(t, c)
		for _, l := range history {
			if l.state == "running" {
				return fmt.Errorf("%+v", l)
			}
		}
		return nil
	})
	checkTicks(t, c, history, filler)
}

// checkTicks compares the history with what the runs have written.
func checkTicks(t *testing.T, c *Cluster, history []scheduleLine, filler int64) {
	t.Helper()
	conn, err := c.Node(2).Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	found := map[time.Time]int64{}
	rows, err := conn.Query(t.Context(), "SELECT due, (SELECT count(*) FROM filler f WHERE f.due = t.due) FROM ticks t")
	if err != nil {
		t.Fatal(err)
	}
	var due time.Time
	var n int64
	if _, err := pgx.ForEachRow(rows, []any{&due, &n}, func() error { found[due.UTC()] = n; return nil }); err != nil {
		t.Fatal(err)
	}
	states := map[string]int{}
	seconds := int64(0)
	for i, l := range history {
		states[l.state]++
		seconds += max(1, l.missed)
		if n, is := found[l.due.UTC()]; is != (l.state == "succeeded") || is && n != filler {
			t.Errorf("run %d for %s is %s, and its rows are there: %v, %d", l.run, l.due, l.state, is, n)
		}
		delete(found, l.due.UTC())
		if i > 0 && !l.due.After(history[i-1].due) {
			t.Errorf("run %d is for %s, and the one before for %s", l.run, l.due, history[i-1].due)
		}
	}
	t.Logf("%d seconds: %v", seconds, states)
	if all := history[len(history)-1].due.Sub(history[0].due)/time.Second + 1; history[0].run == 1 && int64(all) != seconds {
		t.Errorf("the history tells of %d seconds of %d", seconds, all)
	}
	if history[0].run == 1 && len(found) > 0 {
		t.Errorf("rows of no run: %v", found)
	}
}
